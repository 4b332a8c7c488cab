/* SPDX-License-Identifier: MIT */
/*
 * worker - one thread of a workload. It shares cache lines with no other worker: other threads
 * write only to the node, which is on lines of its own.
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
	struct latency *latency; /* if the run measures latency */
	void *lock;
	struct slot *slots;      /* shared by all threads: NR_SLOTS .. */
	uint32_t nr_slots;       /* .. or as many as the workload wants */
	unsigned int threads;    /* number of threads */
	unsigned int writers;    /* per cent of the acquisitions */
	unsigned int own_slots;  /* the number of slots in its share .. */
	unsigned int own_first;  /* .. and the first of them */
	uint32_t held;           /* the number of other ranges that are held */
	uint64_t hold;           /* busy_hold() in each section */
	struct async_loop *loop; /* if the workload is asynchronous */
	bool settled;            /* the thread has given the lock the time to adapt */
	uint64_t random;
	uint64_t writes;     /* pairs as a writer */
	uint64_t increments; /* that the thread made */
	/* For over_leaves, sums over its writes: of leaves, and of biased leaves. */
	uint64_t leaves;
	uint64_t biased;
	uint64_t read; /* so that the compiler does not optimise reading away */
};

static inline uint64_t worker_random(struct worker *worker)
{
	return random_next(&worker->random);
}

#endif
