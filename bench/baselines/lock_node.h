/* SPDX-License-Identifier: MIT */
/*
 * lock_node - one acquisition of any of the locks. The acquiring thread keeps it.
 */
#ifndef BENCH_LOCK_NODE_H
#define BENCH_LOCK_NODE_H

#include <mmrange/range_lock.h>

#include <stdatomic.h>
#include <stdint.h>

struct lock_node {
	_Alignas(64) struct range_hold range; /* first: the interval tree links it */
	/* tree_spinlock's. */
	struct lock_node *next;
	uint32_t blockers;
	_Atomic(uint64_t) state;
	/* The acquiring thread's result of join(). */
	void *thread;
};

#endif
