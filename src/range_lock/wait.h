/* SPDX-License-Identifier: MIT */
/*
 * wait - the slow paths of acquiring and releasing a range.
 */
#ifndef RANGE_LOCK_WAIT_H
#define RANGE_LOCK_WAIT_H

#include "leaf.h"
#include "platform/platform.h"

/* How long an acquisition may take. */
struct range__limit {
	bool try;
	clockid_t clock;
	const struct timespec *deadline; /* NULL: for ever */
};

/*
 * How often the thread has passed waiters by the fast path, since it last did so by the slow one.
 */
extern MMRANGE__THREAD_LOCAL unsigned int range__passed;

/* One swap, if the leaf is empty: see leaf.h. The range's fields are set. */
bool range__acquire_fast(struct range_lock *lock, struct range_hold *range);

/* 0, EBUSY, ETIMEDOUT, ECANCELED; in the checked build EDEADLK. The range's fields are set. */
int range__acquire_slow(struct range_lock *lock, struct range_hold *range,
			const struct range__limit *limit);

void range__release_slow(struct range_lock *lock, struct range_hold *range);

/* With the leaf locked that holds range in its tree: releases it, and unlocks. */
void range__release_and_unlock(struct range_lock *lock, struct range__leaf *leaf,
			       struct range_hold *range);

/*
 * With the leaf locked, after [start, end) was released: makes a waiter starving if it is time, and
 * wakes those that can go on. wakes is for range__leaf_unlock().
 */
void range__wake(struct range_lock *lock, struct range__leaf *leaf, uint64_t start, uint64_t end,
		 struct range__wakes *wakes);

/*
 * With the leaf locked: takes a waiter out of its queue, tells it why (RANGE_CANCELED or
 * RANGE_DEADLOCKED), and lists whom it held back. The waiter may be gone then: its address is to
 * be unparked after the leaf has been unlocked.
 */
void range__expel(struct range_lock *lock, struct range__leaf *leaf, struct range_hold *range,
		  uint64_t why, struct range__wakes *wakes);

#endif
