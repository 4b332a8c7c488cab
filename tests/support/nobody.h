/* SPDX-License-Identifier: MIT */
/*
 * Waiters whose threads do not come: each is in a queue, and that is all. So a test can have hundreds,
 * in an order of its own.
 */
#ifndef TESTS_NOBODY_H
#define TESTS_NOBODY_H

#include "range_lock/deadlock.h"
#include "range_lock/set.h"

/*
 * Queues [start, end) for writing where something conflicts with it, which there must be. set is the
 * caller's storage, as range is, until the wait has been canceled.
 */
void queue_nobody(struct range_lock *lock, struct range_hold *range, struct range__set *set,
		  uint64_t start, uint64_t end, uint64_t arrival);

/*
 * Queues the set of a thread that pretends to be owner, whether something conflicts with it or not. The
 * bounds and the modes of its ranges are set, and nothing else of them.
 */
void queue_set(struct range__set *set, uint64_t owner, uint64_t arrival, bool starving,
	       struct range__wait *wait, bool timed);

#endif
