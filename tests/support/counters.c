/* SPDX-License-Identifier: MIT */
#include "counters.h"

#include "test.h"

enum { THREADS = 16 };

struct range_lock counters_lock;
static uint64_t counters[COUNTERS];

uint64_t counting_below(struct counting *counting, uint64_t limit)
{
	return test_random_below(&counting->seed, limit);
}

void counting_use(struct counting *counting, const struct range_hold *range)
{
	for (uint64_t key = range->start; key < range->end; key++) {
		if (range->mode == RANGE_WRITE) {
			counters[key]++;
			counting->added[key]++;
		} else {
			counting->read += counters[key];
		}
	}
}

void counting_run(enum range_fairness fairness, uint32_t max_leaves, void *(*work)(void *))
{
	uint64_t seed = test_seed("counting");
	struct counting threads[THREADS] = { { 0 } };

	init_lock(&counters_lock, fairness, max_leaves);
	for (unsigned int i = 0; i < COUNTERS; i++)
		counters[i] = 0;
	for (unsigned int i = 0; i < THREADS; i++) {
		threads[i].seed = test_random(&seed);
		threads[i].thread = thread_start(work, &threads[i]);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i].thread);
	for (unsigned int key = 0; key < COUNTERS; key++) {
		for (unsigned int i = 0; i < THREADS; i++)
			counters[key] -= threads[i].added[key];
		CHECK_EQ(counters[key], 0);
	}
	check_quiet_and_destroy(&counters_lock);
}
