/* SPDX-License-Identifier: MIT */
/*
 * Waiters without a thread: each is in a queue and never runs. So a test can have hundreds of them,
 * in an order of its own.
 */
#ifndef TESTS_DUMMY_WAITER_H
#define TESTS_DUMMY_WAITER_H

#include "range_lock/deadlock.h"
#include "range_lock/set.h"

/*
 * Queues [start, end) for writing at a conflict, which the caller must provide. The caller owns the
 * storage of set and of range until the wait has been canceled.
 */
void queue_dummy_waiter(struct range_lock *lock, struct range_hold *range, struct range__set *set,
			uint64_t start, uint64_t end, uint64_t arrival);

/*
 * Queues the set of a thread that pretends to be owner, with or without a conflict. The function
 * uses only the bounds and the modes of the set's ranges.
 */
void queue_set(struct range__set *set, uint64_t owner, uint64_t arrival, bool starving,
	       struct range__wait *wait, bool timed);

/* The same for a request. When it ends, the callback comes as for any other. */
void queue_request(struct range__set *set, uint64_t owner, uint64_t arrival, bool starving,
		   range_callback *callback, void *arg);

#endif
