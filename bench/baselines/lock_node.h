/* SPDX-License-Identifier: MIT */
/*
 * lock_node - one acquisition of any of the locks, kept by the thread that acquires.
 */
#ifndef BENCH_LOCK_NODE_H
#define BENCH_LOCK_NODE_H

#include <mmrange/range_lock.h>

#include <stdatomic.h>
#include <stdint.h>

struct lock_node {
	_Alignas(64) struct range_hold range; /* first: it is what the interval tree links */
	/* tree_spinlock's. */
	struct lock_node *next;
	uint32_t blockers;
	_Atomic(uint64_t) state;
	/* What join() gave to the thread that acquires. */
	void *thread;
};

#endif
