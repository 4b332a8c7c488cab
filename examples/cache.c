/* SPDX-License-Identifier: MIT */
/*
 * A cache of computed blocks, and its shutdown: upgrades, assertions, a question, and closing.
 *
 * Each thread asks for spans of blocks. It acquires the span for reading, as most of its blocks are
 * in the cache already. If one is missing, the thread makes itself the writer of the span with
 * range_upgrade(), which waits for the other readers of the span to go. What the thread has read
 * before stays true meanwhile, because no other writer comes in between.
 *
 * Two readers of common blocks cannot both become writers: each would wait for the other to go. The
 * second one gets EDEADLK at once. It releases the span and acquires it for writing, and must then
 * look again, as other threads may have filled the blocks in between.
 *
 * fill_block() does not acquire anything, and says by an assertion what its caller must hold. To
 * end the program, main() closes the lock: threads that wait return ECANCELED, later acquisitions
 * get ESHUTDOWN, and each thread leaves its loop. No flag has to be polled.
 */
#include <mmrange/range_guard.h>

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, BLOCKS = 64, SPAN = 6, ENOUGH = 20000 };

static struct range_lock lock = RANGE_LOCK_INITIALIZER;
static uint64_t blocks[BLOCKS]; /* 0: not in the cache */
static unsigned int filled[BLOCKS];
static atomic_uint requests;

static uint64_t compute(unsigned int i)
{
	return (uint64_t)i * i + 1;
}

static void fill_block(unsigned int i)
{
	assert(range_is_held(&lock, i, i + 1, RANGE_WRITE));
	blocks[i] = compute(i);
	filled[i]++;
}

static int is_complete(unsigned int first, unsigned int end)
{
	assert(range_is_held(&lock, first, end, RANGE_READ));
	while (first < end && blocks[first])
		first++;
	return first == end;
}

static void fill_missing(unsigned int first, unsigned int end)
{
	for (unsigned int i = first; i < end; i++)
		if (!blocks[i])
			fill_block(i);
}

/* With the span held for reading: makes it complete, and held in some mode. */
static int complete(struct range_guard *span, unsigned int first, unsigned int end)
{
	int error = range_upgrade(&lock, span->hold);

	if (error == EDEADLK) {
		range_guard_unlock(span);
		error = range_guard_lock(span, &lock, first, end, RANGE_WRITE);
	}
	if (!error)
		fill_missing(first, end);
	return error;
}

static int use_span(unsigned int first, unsigned int end)
{
	RANGE_GUARD(span);
	int error = range_guard_lock(&span, &lock, first, end, RANGE_READ);

	if (!error && !is_complete(first, end))
		error = complete(&span, first, end);
	for (unsigned int i = first; i < end && !error; i++)
		if (blocks[i] != compute(i))
			abort();
	return error;
}

static void *run(void *arg)
{
	unsigned int random = *(unsigned int *)arg;
	int error = 0;

	while (!error) {
		unsigned int first;

		random = random * 1103515245u + 12345u;
		first = (random >> 16) % (BLOCKS - SPAN + 1);
		error = use_span(first, first + 1 + (random >> 8) % SPAN);
		atomic_fetch_add(&requests, 1);
	}
	if (error != ECANCELED && error != ESHUTDOWN)
		abort();
	return NULL;
}

/* What fcntl(F_GETLK) tells about a file: which range is in the way of a writer of all. */
static void print_obstacle(void)
{
	struct range_info info;

	if (range_lock_conflict(&lock, 0, UINT64_MAX, RANGE_WRITE, &info))
		printf("nothing is in the way\n");
	else
		printf("[%" PRIu64 ", %" PRIu64 ") is in the way\n", info.start, info.end);
}

int main(void)
{
	unsigned int seeds[THREADS];
	pthread_t threads[THREADS];
	struct range_hold kept;
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < THREADS; i++) {
		seeds[i] = i;
		if (pthread_create(&threads[i], NULL, run, &seeds[i]))
			return 1;
	}
	while (atomic_load(&requests) < ENOUGH)
		sched_yield();
	/* A range that is held when the lock is closed stays held. */
	if (range_lock(&lock, &kept, BLOCKS, BLOCKS + 1, RANGE_WRITE))
		return 1;
	range_lock_close(&lock);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	print_obstacle();
	range_unlock(&lock, &kept);
	print_obstacle();
	for (unsigned int i = 0; i < BLOCKS; i++)
		wrong += filled[i] > 1 || (blocks[i] && blocks[i] != compute(i));
	printf("%u blocks wrong\n", wrong);
	return range_lock_destroy(&lock);
}
