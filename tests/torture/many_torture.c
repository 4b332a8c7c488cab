/* SPDX-License-Identifier: MIT */
/*
 * Some threads acquire several ranges at once, others single ranges or the whole key space. No
 * thread may be stuck. See counters.h.
 */
#include "counters.h"
#include "test.h"

enum { MOST = 4 };

/* Chooses up to MOST ranges that do not overlap, in any order. */
static size_t choose(struct counting *thread, struct range_request *requests,
		     struct range_hold *ranges)
{
	uint64_t *seed = &thread->seed;
	size_t n = 0;

	for (uint64_t key = test_random_below(seed, 8); key < COUNTERS && n < MOST; n++) {
		uint64_t end = key + 1 + test_random_below(seed, 4);

		requests[n] = (struct range_request){
			.range = &ranges[n],
			.start = key,
			.end = end < COUNTERS ? end : COUNTERS,
			.mode = test_random_below(seed, 2) ? RANGE_READ : RANGE_WRITE,
		};
		key = end + test_random_below(seed, 8);
	}
	if (test_random_below(seed, 2)) {
		struct range_request first = requests[0];

		requests[0] = requests[n - 1];
		requests[n - 1] = first;
	}
	return n;
}

static void *work(void *arg)
{
	struct counting *thread = arg;

	for (unsigned int i = 0; i < test_scale(4000); i++) {
		struct range_request requests[MOST];
		struct range_hold ranges[MOST];
		size_t n = choose(thread, requests, ranges);

		if (test_random_below(&thread->seed, 64) == 0) {
			n = 1;
			requests[0] =
				(struct range_request){ &ranges[0], 0, COUNTERS, RANGE_WRITE };
		}
		CHECK_EQ(range_lock_many(&counters_lock, requests, n), 0);
		for (size_t k = 0; k < n; k++)
			counting_use(thread, requests[k].range);
		for (size_t k = 0; k < n; k++)
			range_unlock(&counters_lock, requests[k].range);
	}
	return NULL;
}

TEST(many_torture, barging_threads_get_their_sets_of_ranges)
{
	counting_run(RANGE_FAIRNESS_BARGING, 1, work);
	counting_run(RANGE_FAIRNESS_BARGING, 1024, work);
}

TEST(many_torture, fifo_threads_get_their_sets_of_ranges)
{
	counting_run(RANGE_FAIRNESS_FIFO, 1, work);
	counting_run(RANGE_FAIRNESS_FIFO, 1024, work);
}
