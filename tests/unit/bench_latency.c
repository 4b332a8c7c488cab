/* SPDX-License-Identifier: MIT */
/* The benchmarks' statistics of waiting times, against all times, sorted. */
#include "baselines/lock_ops.h"
#include "latency.h"
#include "test.h"
#include "workloads/worker.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VALUES 3000

static struct histogram histogram;
static uint64_t values[VALUES];

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* A time of any magnitude that the histogram distinguishes. */
static uint64_t random_time(uint64_t *seed)
{
	uint64_t bits = test_random_below(seed, HISTOGRAM_MAX_BITS + 1);

	return bits ? test_random(seed) >> (64 - bits) : 0;
}

static void check_permille(unsigned int count, unsigned int permille)
{
	/* At least permille of a thousand times are not above this one. */
	unsigned int rank = (count * permille + 999) / 1000;
	uint64_t exact = values[rank - 1];
	uint64_t found = histogram_permille(&histogram, permille);

	CHECK(found >= exact);
	CHECK(found <= exact + exact / 16);
	CHECK(found <= histogram.max);
}

TEST(bench_latency, permilles_are_those_of_the_sorted_times_to_a_sixteenth)
{
	uint64_t seed = test_seed("bench_latency");

	for (int round = 0; round < 200; round++) {
		unsigned int count = 1 + (unsigned int)test_random_below(&seed, VALUES);

		memset(&histogram, 0, sizeof(histogram));
		for (unsigned int i = 0; i < count; i++) {
			values[i] = random_time(&seed);
			histogram_add(&histogram, values[i]);
		}
		qsort(values, count, sizeof(values[0]), compare);
		CHECK_EQ(histogram.count, count);
		CHECK_EQ(histogram.max, values[count - 1]);
		check_permille(count, 1);
		check_permille(count, 500);
		check_permille(count, 990);
		check_permille(count, 999);
		check_permille(count, 1000);
	}
}

TEST(bench_latency, short_times_are_exact_and_the_longest_is_kept)
{
	memset(&histogram, 0, sizeof(histogram));
	CHECK_EQ(histogram_permille(&histogram, 500), 0);
	for (uint64_t i = 0; i < 16; i++)
		histogram_add(&histogram, i);
	CHECK_EQ(histogram_permille(&histogram, 500), 7);
	histogram_add(&histogram, UINT64_MAX);
	CHECK_EQ(histogram_permille(&histogram, 1000), (intmax_t)UINT64_MAX);
}

TEST(bench_latency, merged_times_count_as_if_they_had_been_added)
{
	static struct latency a, b, both;
	uint64_t seed = test_seed("bench_latency");

	for (int i = 0; i < VALUES; i++) {
		uint64_t time = random_time(&seed);
		enum range_mode mode = i % 3 ? RANGE_READ : RANGE_WRITE;

		histogram_add(&(i % 2 ? &a : &b)->waits[mode], time);
		histogram_add(&both.waits[mode], time);
	}
	latency_merge(&a, &b);
	CHECK(memcmp(a.waits, both.waits, sizeof(a.waits)) == 0);
	CHECK_EQ(latency_count(&a), VALUES);
	latency_reset(&a);
	CHECK_EQ(latency_count(&a), 0);
	CHECK_EQ(latency_waits(&a, LATENCY_BOTH).max, 0);
}

TEST(bench_latency, reads_and_writes_are_distinguished)
{
	static struct latency latency;
	struct waits waits;

	for (uint64_t i = 0; i < 998; i++)
		histogram_add(&latency.waits[RANGE_READ], 2);
	histogram_add(&latency.waits[RANGE_WRITE], 8);
	histogram_add(&latency.waits[RANGE_WRITE], 9);
	waits = latency_waits(&latency, LATENCY_READS);
	CHECK_EQ(waits.max, 2);
	waits = latency_waits(&latency, LATENCY_WRITES);
	CHECK_EQ(waits.p50, 8);
	CHECK_EQ(waits.p99, 9);
	waits = latency_waits(&latency, LATENCY_BOTH);
	CHECK_EQ(waits.p50, 2);
	CHECK_EQ(waits.p99, 2);
	CHECK_EQ(waits.p999, 8);
	CHECK_EQ(waits.max, 9);
}

TEST(bench_latency, fairness_agrees_with_the_formula)
{
	uint64_t even[] = { 7, 7, 7 };
	uint64_t uneven[] = { 2, 4, 4, 4, 5, 5, 7, 9 };
	uint64_t starved[] = { 0, 10 };
	uint64_t nothing[] = { 0, 0 };
	struct fairness fairness = latency_fairness(even, 3);

	CHECK(fairness.slowest_to_fastest == 1 && fairness.variation == 0);
	fairness = latency_fairness(uneven, 8); /* mean 5, standard deviation 2 */
	CHECK(fabs(fairness.slowest_to_fastest - 2.0 / 9) < 1e-9);
	CHECK(fabs(fairness.variation - 0.4) < 1e-9);
	fairness = latency_fairness(starved, 2);
	CHECK(fairness.slowest_to_fastest == 0 && fabs(fairness.variation - 1) < 1e-9);
	fairness = latency_fairness(nothing, 2);
	CHECK(fairness.slowest_to_fastest == 0 && fairness.variation == 0);
}

static unsigned int held;

static int fake_lock(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		     enum range_mode mode)
{
	(void)lock;
	(void)node;
	(void)mode;
	if (start >= end)
		return EINVAL;
	held++;
	return 0;
}

static void fake_unlock(void *lock, struct lock_node *node)
{
	(void)lock;
	(void)node;
	held--;
}

TEST(bench_latency, each_acquisition_is_passed_on_and_noted)
{
	static const struct lock_ops fake = { .lock = fake_lock, .unlock = fake_unlock };
	static struct latency latency = { .ops = &fake };
	static struct worker worker = { .ops = &latency_ops, .latency = &latency };

	CHECK_EQ(worker.ops->lock(NULL, &worker.node, 0, 1, RANGE_WRITE), 0);
	CHECK_EQ(held, 1);
	worker.ops->unlock(NULL, &worker.node);
	CHECK_EQ(held, 0);
	CHECK_EQ(worker.ops->lock(NULL, &worker.node, 1, 1, RANGE_READ), EINVAL);
	CHECK_EQ(held, 0);
	CHECK_EQ(latency.waits[RANGE_WRITE].count, 1);
	CHECK_EQ(latency.waits[RANGE_READ].count, 1);
	CHECK(latency.now != 0);
}
