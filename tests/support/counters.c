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

/* Whatever other threads do meanwhile, the answers about a range that stays held are certain. */
static void ask_for_it(struct counting *counting, const struct range_hold *range)
{
	const uint64_t key = range->start + counting_below(counting, range->end - range->start);
	struct range_info info;

	switch (counting_below(counting, 64)) {
	case 0: /* revokes the bias */
		CHECK_EQ(range_lock_conflict(&counters_lock, key, range->end, RANGE_WRITE, &info),
			 0);
		CHECK(info.start < range->end && info.end > key);
		break;
	case 1:
	case 2:
	case 3:
	case 4:
		CHECK(range_is_held(&counters_lock, key, range->end, range->mode));
		break;
	default:
		CHECK(range_is_held(&counters_lock, range->start, key + 1, RANGE_READ));
	}
}

void counting_use(struct counting *counting, const struct range_hold *range)
{
	if (!counting->handed_over && counting_below(counting, 2))
		ask_for_it(counting, range);
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
