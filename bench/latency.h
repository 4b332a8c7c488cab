/* SPDX-License-Identifier: MIT */
/*
 * latency - how long a thread waits for its locks.
 *
 * The clock is read before and after each acquisition, which costs more than an uncontended lock.
 * So waits are measured in runs of their own, in which a worker calls the lock through latency_ops.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include "histogram.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lock_ops;

/** Belongs to one thread, on lines of its own. */
struct latency {
	const struct lock_ops *ops; /* the measured lock */
	uint64_t now;               /* the end of the last acquisition */
	struct histogram waits[2];  /* by enum range_mode */
};

/** Calls worker->latency->ops, and notes the time. Only for nodes in workers. */
extern const struct lock_ops latency_ops;

/** Forgets the noted times. */
void latency_reset(struct latency *latency);

/** Adds the times of other. */
void latency_merge(struct latency *latency, const struct latency *other);

/** The number of acquisitions. */
uint64_t latency_count(const struct latency *latency);

/** Which acquisitions. */
enum latency_side { LATENCY_READS, LATENCY_WRITES, LATENCY_BOTH };

/**
 * In nanoseconds. The longest wait is exact; the others are exact to a sixteenth, and never too
 * short. All 0 if there was no acquisition.
 */
struct waits {
	uint64_t p50;
	uint64_t p99;
	uint64_t p999;
	uint64_t max;
};

struct waits latency_waits(const struct latency *latency, enum latency_side side);

/** How even the threads' numbers of pairs are. */
struct fairness {
	double slowest_to_fastest; /* 1: all the same; 0: a thread did none */
	double variation;          /* the standard deviation, over the mean */
};

struct fairness latency_fairness(const uint64_t *pairs, unsigned int threads);

#ifdef __cplusplus
}
#endif

#endif
