/* SPDX-License-Identifier: MIT */
/* A program that uses an address space, and nothing else that could race. */
#include <mmrange/mm.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, PAGES = 64, STEPS = 300 };

#define PROTECTION (MM_PROT_READ | MM_PROT_WRITE)
#define MAPPING    (MM_MAP_PRIVATE | MM_MAP_ANONYMOUS)

static struct mm *mm;
static uint64_t base;

static void check(int condition)
{
	if (!condition)
		abort();
}

static unsigned int next_random(unsigned int *state)
{
	*state = *state * 1103515245u + 12345u;
	return *state >> 16;
}

/* Threads may take each other's pages away at any time. */
static void step(unsigned int *state)
{
	uint64_t at = base + next_random(state) % PAGES * (uint64_t)MM_PAGE_SIZE, got;
	char bytes[64] = { 0 };

	switch (next_random(state) % 8) {
	case 0:
		(void)mm_munmap(mm, at, 2 * MM_PAGE_SIZE);
		break;
	case 1:
		check(mm_mmap(mm, at, 4 * MM_PAGE_SIZE, PROTECTION, MAPPING | MM_MAP_FIXED, -1, 0,
			      &got) == 0);
		break;
	case 2:
		(void)mm_mprotect(mm, at, MM_PAGE_SIZE, MM_PROT_READ);
		break;
	case 3:
		(void)mm_madvise(mm, at, 2 * MM_PAGE_SIZE, MM_MADV_DONTNEED);
		break;
	case 4:
	case 5:
		(void)mm_read(mm, at, bytes, sizeof bytes, NULL);
		break;
	default:
		(void)mm_write(mm, at, bytes, sizeof bytes, NULL);
		break;
	}
}

static void *run(void *arg)
{
	unsigned int state = *(unsigned int *)arg;

	for (int i = 0; i < STEPS; i++)
		step(&state);
	return NULL;
}

int main(void)
{
	unsigned int seeds[THREADS] = { 1, 2, 3, 4 };
	pthread_t threads[THREADS];

	check(mm_create(&mm, NULL) == 0);
	check(mm_mmap(mm, 0, (PAGES + 4) * (uint64_t)MM_PAGE_SIZE, PROTECTION, MAPPING, -1, 0,
		      &base) == 0);
	for (int i = 0; i < THREADS; i++)
		check(pthread_create(&threads[i], NULL, run, &seeds[i]) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	mm_destroy(mm);
	printf("done\n");
	return 0;
}
