/* SPDX-License-Identifier: MIT */
/*
 * A lock with a plain counter per key, and threads that use it. A thread that holds a key for
 * writing adds one to its counter. In the end each counter is the sum of the threads' additions,
 * and ThreadSanitizer reports missing order.
 */
#ifndef TESTS_COUNTERS_H
#define TESTS_COUNTERS_H

#include "actors.h"

enum { COUNTERS = 64 };

extern struct range_lock counters_lock;

struct counting {
	pthread_t thread;
	uint64_t seed; /* one per thread */
	uint64_t added[COUNTERS];
	uint64_t read;
	bool handed_over; /* other threads acquire the ranges that it uses */
};

/* A random number in [0, limit). */
uint64_t counting_below(struct counting *counting, uint64_t limit);

/*
 * Does what the holder of the range may do: reads its counters, or adds to them. Asks the lock,
 * too, whether the thread holds the range.
 */
void counting_use(struct counting *counting, const struct range_hold *range);

/*
 * Runs threads, each with a struct counting as its argument, on a new lock; then checks the
 * counters.
 */
void counting_run(enum range_fairness fairness, uint32_t max_leaves, void *(*work)(void *));

#endif
