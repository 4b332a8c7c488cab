/* SPDX-License-Identifier: MIT */
/*
 * Threads that use an arena, and the code that is never converted: it locks coarsely beside
 * whatever the step has made of the rest, and must find everything as it was in step 0.
 */
#include "arena.h"

#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#define THREADS 4u
#define ROUNDS  500u

struct worker {
	struct arena *arena;
	uint64_t random;
	pthread_t thread;
};

/* SplitMix64 (Steele, Lea & Flood 2014). */
static unsigned int random_below(uint64_t *state, unsigned int limit)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (unsigned int)((z ^ (z >> 31)) % limit);
}

static void expect(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

/*
 * Not converted
 */

static int check_area(const struct mm_area *area, void *arg)
{
	struct arena *arena = arg;
	uint64_t slot = (area->start - ARENA_BASE) / SLOT_SIZE;
	struct region *region = &arena->regions[slot];
	int prot = region->state == REGION_SEALED ? MM_PROT_READ : MM_PROT_READ | MM_PROT_WRITE;

	expect(area->start == slot_start((unsigned int)slot), "where a region begins");
	expect(area->end == area->start + region->pages * MM_PAGE_SIZE, "where a region ends");
	expect(area->prot == prot, "the protection of a region");
	return 0;
}

/* Everything holds together: records, mappings, and the number of all pages. */
static void audit(struct arena *arena)
{
	uint64_t pages = 0, regions = 0;
	struct mm_stats stats;

	must(mm_read_lock(arena->mm));
	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		pages += arena->regions[slot].pages;
		regions += arena->regions[slot].state != REGION_FREE;
	}
	must(mm_for_each_area(arena->mm, check_area, arena));
	mm_get_stats(arena->mm, &stats, sizeof(stats));
	expect(stats.areas == regions, "a mapping for each region");
	expect(arena->pages == pages, "the number of all pages");
	mm_read_unlock(arena->mm);
}

/* Two regions at once: rare, so it stays coarse. */
static void move(struct arena *arena, unsigned int from, unsigned int to)
{
	uint64_t length, result;

	must(mm_write_lock(arena->mm));
	if (arena->regions[from].state == REGION_SEALED &&
	    arena->regions[to].state == REGION_FREE) {
		length = arena->regions[from].pages * MM_PAGE_SIZE;
		must(mm_mremap(arena->mm, slot_start(from), length, length,
			       MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED, slot_start(to), &result));
		arena->regions[to] = arena->regions[from];
		arena->regions[from] = (struct region){ REGION_FREE, 0, 0 };
	}
	mm_write_unlock(arena->mm);
}

/*
 * The threads
 */

static unsigned int open_any(struct worker *worker, uint64_t pages)
{
	for (;;) {
		unsigned int slot = random_below(&worker->random, SLOTS);

		if (region_open(worker->arena, slot, pages))
			return slot;
		region_release(worker->arena, random_below(&worker->random, SLOTS));
	}
}

static void one_round(struct worker *worker, unsigned int round)
{
	struct arena *arena = worker->arena;
	unsigned int slot = open_any(worker, 1 + random_below(&worker->random, 32));

	region_fill(arena, slot, round);
	region_grow(arena, slot, 1 + random_below(&worker->random, 32));
	region_fill(arena, slot, round + 1);
	region_seal(arena, slot);
	for (unsigned int i = 0; i < 2; i++)
		expect(region_check(arena, random_below(&worker->random, SLOTS)), "bytes");
	if (round % 8 == 0)
		move(arena, random_below(&worker->random, SLOTS),
		     random_below(&worker->random, SLOTS));
	if (round % 64 == 0)
		audit(arena);
}

static void *work(void *arg)
{
	for (unsigned int round = 0; round < ROUNDS; round++)
		one_round(arg, round);
	return NULL;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* What differs from run to run is not what the tests compare. */
static void print_measured(struct mm *mm, uint64_t ns)
{
	struct mm_stats stats;

	mm_get_stats(mm, &stats, sizeof(stats));
	fprintf(stderr,
		"%.0f regions/s; %" PRIu64 " faults, %" PRIu64
		" of them without a lock; the range lock had to wait %" PRIu64 " times\n",
		THREADS * ROUNDS * 1e9 / (double)ns, stats.faults, stats.faults_speculative,
		stats.lock_waits);
}

static void run(struct arena *arena)
{
	struct worker workers[THREADS];
	uint64_t start = now();

	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .arena = arena, .random = i };
		must(pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (unsigned int i = 0; i < THREADS; i++)
		must(pthread_join(workers[i].thread, NULL));
	print_measured(arena->mm, now() - start);
}

int main(void)
{
	static struct arena arena;
	struct mm_attr attr;
	struct mm_stats stats;
	char message[128];

	mm_attr_init(&attr);
	attr.locking = arena_locking;
	must(mm_create(&arena.mm, &attr));
	run(&arena);
	audit(&arena);
	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		expect(region_check(&arena, slot), "bytes");
		region_release(&arena, slot);
	}
	audit(&arena);
	must(mm_validate(arena.mm, message, sizeof(message)));
	mm_get_stats(arena.mm, &stats, sizeof(stats));
	printf("%u regions opened, filled, grown, sealed and checked; %" PRIu64 " pages left\n",
	       THREADS * ROUNDS, stats.pages);
	mm_destroy(arena.mm);
	return 0;
}
