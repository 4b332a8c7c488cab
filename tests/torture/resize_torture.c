/* SPDX-License-Identifier: MIT */
/*
 * Threads change the ranges they hold, all operations against each other. Each key has a plain counter: who holds
 * it for writing adds one, so that in the end the counters are the sums of what the threads have added, and
 * ThreadSanitizer sees a missing order.
 */
#include "actors.h"
#include "test.h"

#include <errno.h>
#include <stdatomic.h>

enum { THREADS = 16, KEYS = 64 };

static struct {
	struct range_lock lock;
	uint64_t counters[KEYS];
} shared;

struct worker {
	pthread_t thread;
	uint64_t seed;
	uint64_t added[KEYS];
	uint64_t read;
};

static uint64_t below(struct worker *worker, uint64_t limit)
{
	return test_random_below(&worker->seed, limit);
}

/* What holding the range allows. */
static void use(struct worker *worker, const struct range *range)
{
	for (uint64_t key = range->start; key < range->end; key++) {
		if (range->mode == RANGE_WRITE) {
			shared.counters[key]++;
			worker->added[key]++;
		} else {
			worker->read += shared.counters[key];
		}
	}
}

static void change(struct worker *worker, struct range *range)
{
	uint64_t start = range->start + below(worker, range->end - range->start);
	uint64_t end = start + 1 + below(worker, range->end - start);
	struct range upper;
	int error;

	switch (below(worker, 5)) {
	case 0:
		range_downgrade(&shared.lock, range);
		break;
	case 1:
		error = range_tryupgrade(&shared.lock, range);
		CHECK(error == 0 || error == EBUSY);
		break;
	case 2:
		CHECK_EQ(range_shrink(&shared.lock, range, start, end), 0);
		break;
	case 3:
		error = range_tryextend(&shared.lock, range, below(worker, range->start + 1),
					range->end + below(worker, KEYS - range->end + 1));
		CHECK(error == 0 || error == EBUSY);
		break;
	case 4:
		if (start == range->start)
			break;
		CHECK_EQ(range_split(&shared.lock, range, start, &upper), 0);
		use(worker, range);
		use(worker, &upper);
		range_unlock(&shared.lock, &upper);
		break;
	}
	use(worker, range);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (unsigned int n = 0; n < test_scale(10000); n++) {
		uint64_t start = below(worker, KEYS);
		uint64_t width = below(worker, 16) ? 1 + below(worker, 4) : KEYS;
		uint64_t end = start + width < KEYS ? start + width : KEYS;
		struct range range;
		int error;

		error = acquire_somehow((int)below(worker, 3), &shared.lock, &range, start, end,
					below(worker, 2) ? RANGE_READ : RANGE_WRITE);
		CHECK(error == 0 || error == EBUSY || error == ETIMEDOUT);
		if (error)
			continue;
		use(worker, &range);
		for (uint64_t changes = below(worker, 4); changes > 0; changes--)
			change(worker, &range);
		range_unlock(&shared.lock, &range);
	}
	return NULL;
}

static void run(enum range_fairness fairness, uint32_t max_leaves)
{
	uint64_t seed = test_seed("resize");
	struct worker workers[THREADS] = { { 0 } };

	init_lock(&shared.lock, fairness, max_leaves);
	for (unsigned int i = 0; i < KEYS; i++)
		shared.counters[i] = 0;
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i].seed = test_random(&seed);
		workers[i].thread = thread_start(work, &workers[i]);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(workers[i].thread);
	for (unsigned int key = 0; key < KEYS; key++) {
		for (unsigned int i = 0; i < THREADS; i++)
			shared.counters[key] -= workers[i].added[key];
		CHECK_EQ(shared.counters[key], 0);
	}
	check_quiet_and_destroy(&shared.lock);
}

TEST(resize_torture, barging_threads_change_what_they_hold_and_lose_nothing)
{
	run(RANGE_FAIRNESS_BARGING, 1);
	run(RANGE_FAIRNESS_BARGING, 1024);
}

TEST(resize_torture, fifo_threads_change_what_they_hold_and_lose_nothing)
{
	run(RANGE_FAIRNESS_FIFO, 1);
	run(RANGE_FAIRNESS_FIFO, 1024);
}
