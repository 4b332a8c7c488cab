/* SPDX-License-Identifier: MIT */
/*
 * worker - one thread of a workload. It shares cache lines with no other: of what is in here,
 * others write to the node only, which is on lines of its own.
 */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include "../../tests/support/random.h"
#include "baselines/lock_node.h"
#include "baselines/lock_ops.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

struct latency;

enum { NR_SLOTS = 256, CACHE_LINE = 64 };

struct slot {
	alignas(CACHE_LINE) uint64_t value;
};

struct worker {
	alignas(2 * CACHE_LINE) struct lock_node node; /* first: see latency.c */
	alignas(2 * CACHE_LINE) const struct lock_ops *ops;
	struct latency *latency; /* if that is what is measured */
	void *lock;
	struct slot *slots;     /* NR_SLOTS of them, shared */
	unsigned int threads;   /* that there are */
	unsigned int writers;   /* per cent of the acquisitions */
	unsigned int own_slots; /* its share of the slots .. */
	unsigned int own_first; /* .. and where that begins */
	uint32_t held;          /* ranges that are held beside */
	uint64_t hold;          /* busy_hold() in each section */
	bool settled;           /* it has given the lock the time to adapt */
	uint64_t random;
	uint64_t writes;     /* pairs that were writers */
	uint64_t increments; /* that it made */
	/* Of over_leaves, the sum over its writes: leaves, and how many of them were biased. */
	uint64_t leaves;
	uint64_t biased;
	uint64_t read; /* so that reading is not optimised away */
};

static inline uint64_t worker_random(struct worker *worker)
{
	return random_next(&worker->random);
}

#endif
