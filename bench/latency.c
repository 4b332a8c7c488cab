/* SPDX-License-Identifier: MIT */
#include "latency.h"
#include "baselines/lock_ops.h"
#include "platform/platform.h"
#include "workloads/worker.h"

#include <math.h>
#include <string.h>

/* The node is the worker's first field. */
static struct latency *latency_of(struct lock_node *node)
{
	return ((struct worker *)node)->latency;
}

static int lock_timed(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		      enum range_mode mode)
{
	struct latency *latency = latency_of(node);
	uint64_t before = mmrange__now();
	int error = latency->ops->lock(lock, node, start, end, mode);

	latency->now = mmrange__now();
	histogram_add(&latency->waits[mode], latency->now - before);
	return error;
}

static void unlock(void *lock, struct lock_node *node)
{
	latency_of(node)->ops->unlock(lock, node);
}

const struct lock_ops latency_ops = {
	.name = "latency",
	.lock = lock_timed,
	.unlock = unlock,
};

void latency_reset(struct latency *latency)
{
	memset(latency->waits, 0, sizeof(latency->waits));
}

uint64_t latency_count(const struct latency *latency)
{
	return latency->waits[RANGE_READ].count + latency->waits[RANGE_WRITE].count;
}

void latency_merge(struct latency *latency, const struct latency *other)
{
	histogram_merge(&latency->waits[RANGE_READ], &other->waits[RANGE_READ]);
	histogram_merge(&latency->waits[RANGE_WRITE], &other->waits[RANGE_WRITE]);
}

struct waits latency_waits(const struct latency *latency, enum latency_side side)
{
	struct histogram all = { 0 };

	if (side != LATENCY_WRITES)
		histogram_merge(&all, &latency->waits[RANGE_READ]);
	if (side != LATENCY_READS)
		histogram_merge(&all, &latency->waits[RANGE_WRITE]);
	return (struct waits){
		.p50 = histogram_permille(&all, 500),
		.p99 = histogram_permille(&all, 990),
		.p999 = histogram_permille(&all, 999),
		.max = all.max,
	};
}

struct fairness latency_fairness(const uint64_t *pairs, unsigned int threads)
{
	double slowest = (double)pairs[0];
	double fastest = slowest;
	double sum = 0;
	double squares = 0;
	double mean;
	unsigned int i;

	for (i = 0; i < threads; i++) {
		slowest = fmin(slowest, (double)pairs[i]);
		fastest = fmax(fastest, (double)pairs[i]);
		sum += (double)pairs[i];
	}
	if (fastest == 0)
		return (struct fairness){ 0 };
	mean = sum / threads;
	for (i = 0; i < threads; i++)
		squares += ((double)pairs[i] - mean) * ((double)pairs[i] - mean);
	return (struct fairness){
		.slowest_to_fastest = slowest / fastest,
		.variation = sqrt(squares / threads) / mean,
	};
}
