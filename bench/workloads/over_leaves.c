/* SPDX-License-Identifier: MIT */
#include "over_leaves.h"
#include "latency.h"
#include "platform/platform.h"
#include "worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
	LEAVES = 1024, /* the default of max_leaves; leaf i is for key i */
	SIDES = 2,
};

/* The longest time, by its own clock, for which the thread reads until all leaves are biased. */
static const uint64_t READ_NS = UINT64_C(50000000);

/* One of two threads. It holds every other key, and then releases all. */
struct side {
	struct range_lock *lock;
	uint64_t first; /* key */
	uint64_t end;   /* time */
	struct range_hold holds[LEAVES / SIDES];
	bool failed;
};

static struct range_lock_stats stats_of(struct range_lock *lock)
{
	struct range_lock_stats stats;

	range_lock_stats(lock, &stats);
	return stats;
}

static bool hold_and_release(struct side *side)
{
	unsigned int held, i;

	for (held = 0; held < LEAVES / SIDES; held++) {
		uint64_t key = side->first + (uint64_t)held * SIDES;

		if (range_lock(side->lock, &side->holds[held], key, key + 1, RANGE_WRITE) != 0)
			break;
	}
	for (i = 0; i < held; i++)
		range_unlock(side->lock, &side->holds[i]);
	return held == LEAVES / SIDES;
}

static void *take_side(void *argument)
{
	struct side *side = argument;

	while (!side->failed && stats_of(side->lock).leaves < LEAVES && mmrange__now() < side->end)
		side->failed = !hold_and_release(side);
	return NULL;
}

static bool take_sides(struct side *sides)
{
	pthread_t other;

	if (pthread_create(&other, NULL, take_side, &sides[1]) != 0)
		return false;
	take_side(&sides[0]);
	pthread_join(other, NULL);
	return !sides[0].failed && !sides[1].failed;
}

bool over_leaves_prepare(void *lock, uint64_t ns)
{
	struct side *sides = calloc(SIDES, sizeof(*sides));
	bool done = false;
	unsigned int i;

	for (i = 0; sides && i < SIDES; i++) {
		sides[i].lock = lock;
		sides[i].first = i;
		sides[i].end = mmrange__now() + ns;
	}
	if (sides)
		done = take_sides(sides);
	free(sides);
	return done;
}

/* Beside latency_ops, which would read the clock for these ranges, too. */
static bool use_each_leaf(struct worker *worker, enum range_mode mode)
{
	const struct lock_ops *ops = worker->latency->ops;
	uint64_t key;

	for (key = 0; key < LEAVES; key++) {
		if (ops->lock(worker->lock, &worker->node, key, key + 1, mode) != 0)
			return false;
		ops->unlock(worker->lock, &worker->node);
	}
	return true;
}

static bool write_each_leaf(struct worker *worker)
{
	return use_each_leaf(worker, RANGE_WRITE);
}

/* The thread's processor time: without other threads, as the machine may be busy. */
static uint64_t own_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/*
 * A leaf becomes biased when readers have paid enough, so it takes some passes. Every full range
 * ends all biases, so the present biases are those that began since.
 */
static bool read_until_biased(struct worker *worker)
{
	uint64_t before = stats_of(worker->lock).biases;
	uint64_t end = own_time() + READ_NS;
	uint64_t biased = 0;

	while (biased < LEAVES && own_time() < end) {
		if (!use_each_leaf(worker, RANGE_READ))
			return false;
		biased = stats_of(worker->lock).biases - before;
	}
	worker->biased += biased;
	return true;
}

static inline bool run(struct worker *worker, uint64_t pairs, bool (*use)(struct worker *worker))
{
	while (pairs--) {
		if (!use(worker))
			return false;
		worker->leaves += stats_of(worker->lock).leaves;
		if (worker->ops->lock(worker->lock, &worker->node, 0, UINT64_MAX, RANGE_WRITE) != 0)
			return false;
		worker->ops->unlock(worker->lock, &worker->node);
		worker->writes++;
	}
	return true;
}

bool over_leaves_plain(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, write_each_leaf);
}

bool over_leaves_biased(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, read_until_biased);
}
