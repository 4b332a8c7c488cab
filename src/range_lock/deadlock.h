/* SPDX-License-Identifier: MIT */
/*
 * deadlock - finds threads that wait for each other in a cycle, in builds with MMRANGE_CHECKED. In
 * other builds a waiter just parks.
 *
 * A waiting range waits for each held range that conflicts with it, and so for what the thread
 * waits for that acquired it; and for each conflicting waiter before it that is starving. It needs
 * all of them to go, so that a cycle never ends. A wait with a deadline does end, and is left out.
 *
 * A cycle comes into being when its last thread begins to wait, or when a waiter becomes starving.
 * So it is looked for when a thread that holds something begins to wait, and again from time to
 * time.
 */
#ifndef RANGE_LOCK_DEADLOCK_H
#define RANGE_LOCK_DEADLOCK_H

#include "platform/platform.h"
#include "wait.h"

#ifdef MMRANGE_CHECKED

/*
 * Looks for a cycle that a range is in, which the calling thread queued. If there is one, the range
 * in it that was queued last is taken out of its queue as RANGE_DEADLOCKED, and the cycle is
 * reported.
 */
void range__deadlock_look(struct range_lock *lock, struct range *range);

/* The same, after a range was queued, if it can have closed a cycle. */
void range__deadlock_enter(struct range_lock *lock, struct range *range);

/* Parks a waiter, with a look now and then: 0 or ETIMEDOUT, and may return early for no reason. */
int range__deadlock_park(struct range_lock *lock, struct range *range,
			 const struct range__limit *limit);

#else

static inline void range__deadlock_enter(struct range_lock *lock, struct range *range)
{
	(void)lock, (void)range;
}

static inline int range__deadlock_park(struct range_lock *lock, struct range *range,
				       const struct range__limit *limit)
{
	(void)lock;
	return mmrange__park(&range->state, RANGE_WAITING, limit->clock, limit->deadline);
}

#endif

#endif
