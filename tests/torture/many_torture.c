/* SPDX-License-Identifier: MIT */
/*
 * Threads acquire several ranges at once, others single ones and all of them: nobody may be stuck.
 * Each key has a plain counter, to which those who hold it for writing add; in the end they are the
 * sums.
 */
#include "actors.h"
#include "test.h"

enum { THREADS = 12, KEYS = 32, MOST = 4 };

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

/* Up to MOST ranges that do not overlap, in any order. */
static size_t choose(struct worker *worker, struct range_request *requests, struct range *ranges)
{
	uint64_t *seed = &worker->seed;
	size_t n = 0;

	for (uint64_t key = test_random_below(seed, 8); key < KEYS && n < MOST; n++) {
		uint64_t end = key + 1 + test_random_below(seed, 4);

		requests[n] = (struct range_request){
			.range = &ranges[n],
			.start = key,
			.end = end < KEYS ? end : KEYS,
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
	struct worker *worker = arg;

	for (unsigned int i = 0; i < test_scale(4000); i++) {
		struct range_request requests[MOST];
		struct range ranges[MOST];
		size_t n = choose(worker, requests, ranges);

		if (test_random_below(&worker->seed, 64) == 0) {
			n = 1;
			requests[0] = (struct range_request){ &ranges[0], 0, KEYS, RANGE_WRITE };
		}
		CHECK_EQ(range_lock_many(&shared.lock, requests, n), 0);
		for (size_t k = 0; k < n; k++)
			use(worker, requests[k].range);
		for (size_t k = 0; k < n; k++)
			range_unlock(&shared.lock, requests[k].range);
	}
	return NULL;
}

static void run(enum range_fairness fairness, uint32_t max_leaves)
{
	uint64_t seed = test_seed("many");
	struct worker workers[THREADS] = { { 0 } };

	init_lock(&shared.lock, fairness, max_leaves);
	for (unsigned int key = 0; key < KEYS; key++)
		shared.counters[key] = 0;
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

TEST(many_torture, barging_threads_get_their_sets_of_ranges)
{
	run(RANGE_FAIRNESS_BARGING, 1);
	run(RANGE_FAIRNESS_BARGING, 1024);
}

TEST(many_torture, fifo_threads_get_their_sets_of_ranges)
{
	run(RANGE_FAIRNESS_FIFO, 1);
	run(RANGE_FAIRNESS_FIFO, 1024);
}
