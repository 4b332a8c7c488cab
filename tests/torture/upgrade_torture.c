/* SPDX-License-Identifier: MIT */
/*
 * Threads read ranges and make some of them writers', waiting, with deadlines, or not at all, while
 * a thread cancels. Each key has a counter that only its writers change, and the sums must agree.
 */
#include "actors.h"

#include <errno.h>

enum { THREADS = 6, KEYS = 48, ROUNDS = 20000 };

static struct range_lock lock;
static uint64_t counters[KEYS];
static atomic_uint_fast64_t added[KEYS];
static _Atomic(struct range_hold *) targets[THREADS];
static atomic_uint running, upgraded, refused, ended;

static void add_to_keys(uint64_t start, uint64_t end)
{
	for (uint64_t key = start; key < end; key++) {
		counters[key]++;
		atomic_fetch_add(&added[key], 1);
	}
}

static int upgrade_somehow(struct range_hold *range, uint64_t *random)
{
	struct timespec soon;

	switch (test_random_below(random, 3)) {
	case 0:
		soon = time_after(CLOCK_MONOTONIC, test_random_below(random, 200000));
		return range_timedupgrade(&lock, range, CLOCK_MONOTONIC, &soon);
	case 1:
		return range_tryupgrade(&lock, range);
	default:
		return range_upgrade(&lock, range);
	}
}

static uint64_t sum_of_keys(uint64_t start, uint64_t end)
{
	uint64_t sum = 0;

	for (uint64_t key = start; key < end; key++)
		sum += counters[key];
	return sum;
}

static void do_round(struct range_hold *range, uint64_t *random)
{
	uint64_t start = test_random_below(random, KEYS - 1);
	uint64_t end = start + 1 + test_random_below(random, test_random_below(random, 4) ? 4 : 24);
	uint64_t sum;
	int error;

	if (end > KEYS)
		end = KEYS;
	if (range_lock(&lock, range, start, end, RANGE_READ))
		return;
	sum = sum_of_keys(start, end);
	error = upgrade_somehow(range, random);
	/* Whatever came of it, no writer came in between. */
	CHECK_EQ(sum_of_keys(start, end), sum);
	if (!error) {
		CHECK_EQ(range->mode, RANGE_WRITE);
		add_to_keys(start, end);
		atomic_fetch_add(&upgraded, 1);
		if (test_random_below(random, 2))
			range_downgrade(&lock, range);
	} else {
		CHECK(error == EDEADLK || error == ETIMEDOUT || error == EBUSY ||
		      error == ECANCELED);
		CHECK_EQ(range->mode, RANGE_READ);
		atomic_fetch_add(error == EDEADLK ? &refused : &ended, 1);
	}
	range_unlock(&lock, range);
}

struct worker {
	unsigned int number;
	uint64_t random;
};

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	struct range_hold range;

	atomic_store(&targets[w->number], &range);
	for (unsigned int i = 0; i < test_scale(ROUNDS); i++)
		do_round(&range, &w->random);
	atomic_store(&targets[w->number], NULL);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void run(enum range_fairness fairness, uint32_t leaves)
{
	uint64_t random = test_seed("upgrade_torture");
	struct worker workers[THREADS];
	pthread_t threads[THREADS];

	init_lock(&lock, fairness, leaves);
	if (leaves > 1)
		make_leaves(&lock, 4);
	atomic_store(&running, THREADS);
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ i, random + i };
		threads[i] = thread_start(run_worker, &workers[i]);
	}
	while (atomic_load(&running) > 0) {
		struct range_hold *target =
			atomic_load(&targets[test_random_below(&random, THREADS)]);

		if (target)
			(void)range_cancel(&lock, target);
		sched_yield();
	}
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	for (unsigned int key = 0; key < KEYS; key++)
		CHECK_EQ(counters[key], atomic_load(&added[key]));
	check_quiet_and_destroy(&lock);
}

TEST(upgrade_torture, readers_become_writers_with_one_leaf)
{
	run(RANGE_FAIRNESS_BARGING, 1);
	CHECK(atomic_load(&upgraded) > 0);
}

TEST(upgrade_torture, readers_become_writers_with_many_leaves)
{
	run(RANGE_FAIRNESS_BARGING, 64);
	CHECK(atomic_load(&upgraded) > 0);
}

TEST(upgrade_torture, readers_become_writers_with_fifo)
{
	run(RANGE_FAIRNESS_FIFO, 64);
	CHECK(atomic_load(&upgraded) > 0);
}
