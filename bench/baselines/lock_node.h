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
	/* Of tree_spinlock, and of locks with callbacks. */
	struct lock_node *next;
	uint32_t blockers;
	_Atomic(uint64_t) state;
	/* Of callback_list and callback_ranges. */
	range_callback *callback;
	void *arg;
	struct lock_node *earlier;
	struct lock_node *later;
	/* The acquiring thread's result of join(). */
	void *thread;
};

#endif
