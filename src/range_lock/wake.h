/* SPDX-License-Identifier: MIT */
/*
 * wake - what every release does for the waiters of a leaf. See waiters.c for which waiter is
 * woken, and why no wake-up is lost.
 */
#ifndef RANGE_LOCK_WAKE_H
#define RANGE_LOCK_WAKE_H

#include "set.h"

/*
 * With the leaf locked, after [start, end) was released: makes a waiter starving if it is time, and
 * wakes those that can go on. The caller unparks the threads in wakes after it has unlocked the
 * leaf.
 */
void range__wake(struct range__lock *lock, struct range__leaf *leaf, uint64_t start, uint64_t end,
		 struct range__wakes *wakes);

/*
 * The same after this range was released, or as a waiter stopped holding back others: if it reads,
 * there are only writers to wake.
 */
void range__wake_after(struct range__lock *lock, struct range__leaf *leaf,
		       const struct range__hold *range, struct range__wakes *wakes);

/* range__wake() in all leaves of a set, which are locked, for the range at i. */
void range__wake_range(struct range__set *set, size_t i, uint64_t start, uint64_t end,
		       struct range__wakes *wakes);

#endif
