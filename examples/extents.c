/* SPDX-License-Identifier: MIT */
/*
 * An allocator's use: threads take runs of pages from one arena, and give them back, without a lock
 * around the whole arena.
 *
 * A thread that looks at a run, takes it or frees it has locked just that run. To find a place, a
 * thread calls range_trylock(): where another thread is busy, it looks elsewhere instead of
 * waiting.
 */
#include <mmrange/range_lock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES = 4096, THREADS = 4, ROUNDS = 5000, KEPT = 16 };

static struct range_lock lock = RANGE_LOCK_INITIALIZER;
static unsigned char owner[PAGES]; /* of each page: a thread's number, 0 for none */

struct run {
	size_t start;
	size_t length;
};

/* The first page of a run that is not the owner's; run.length if all are. */
static size_t first_not_of(struct run run, unsigned char whose)
{
	for (size_t i = 0; i < run.length; i++)
		if (owner[run.start + i] != whose)
			return i;
	return run.length;
}

/* Takes a run for whom if it is free; otherwise says how far to move on. */
static size_t take(struct run run, unsigned char whom)
{
	struct range_hold range;
	size_t free;

	if (range_trylock(&lock, &range, run.start, run.start + run.length, RANGE_WRITE))
		return run.length;
	free = first_not_of(run, 0);
	if (free == run.length)
		memset(owner + run.start, whom, run.length);
	range_unlock(&lock, &range);
	return free == run.length ? 0 : free + 1;
}

/* Looks from hint upwards, and again from the bottom, until there is a free run. */
static struct run extent_alloc(size_t hint, size_t length, unsigned char whom)
{
	struct run run = { hint, length };
	size_t move = 1;

	while (move) {
		if (run.start + length > PAGES)
			run.start = 0;
		move = take(run, whom);
		run.start += move;
	}
	return run;
}

static void extent_free(struct run run, unsigned char whose)
{
	struct range_hold range;

	if (range_lock(&lock, &range, run.start, run.start + run.length, RANGE_WRITE) ||
	    first_not_of(run, whose) != run.length)
		abort();
	memset(owner + run.start, 0, run.length);
	range_unlock(&lock, &range);
}

static void *user(void *arg)
{
	unsigned char me = *(unsigned char *)arg;
	struct run kept[KEPT] = { { 0, 0 } };
	size_t hint = me * (PAGES / THREADS) % PAGES;

	for (size_t i = 0; i < ROUNDS; i++) {
		struct run *run = &kept[i % KEPT];

		if (run->length)
			extent_free(*run, me);
		*run = extent_alloc(hint, 1 + i * 5 % 32, me);
		hint = run->start + run->length;
	}
	for (size_t i = 0; i < KEPT; i++)
		extent_free(kept[i], me);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	unsigned char numbers[THREADS];
	struct run arena = { 0, PAGES };

	for (unsigned char i = 0; i < THREADS; i++) {
		numbers[i] = (unsigned char)(i + 1);
		if (pthread_create(&threads[i], NULL, user, &numbers[i]))
			return 1;
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("%d runs taken and freed, the arena is %s\n", THREADS * ROUNDS,
	       first_not_of(arena, 0) == PAGES ? "free again" : "not free");
	return range_lock_destroy(&lock);
}
