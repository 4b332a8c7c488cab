/* SPDX-License-Identifier: MIT */
/*
 * deadlock - finds threads that wait for each other in a cycle, over any number of locks, in builds
 * with MMRANGE_CHECKED. In other builds a waiter just parks.
 *
 * A waiting range waits for each held range that conflicts with it, and so for the wait of the
 * thread that acquired that one. It also waits for each conflicting waiter before it that is
 * starving. It needs all of them to go, so a cycle never ends. A wait with a deadline does end, and
 * is left out.
 *
 * A request waits for the same as a thread would in its place, but holds nothing: no thread waits
 * for the one that made it. A range that was acquired by a request may be released by any thread,
 * and so nothing waits for its holder. A cycle through a request has a thread that waits behind the
 * request, in the same lock and without a deadline. That thread can be refused; the request is not.
 *
 * A cycle comes into being when its last thread begins to wait, or when a waiter becomes starving.
 * So there are two looks for a cycle: by a thread that begins to wait and holds a range or a mutex,
 * and by a waiter that becomes starving. No thread waits for a thread that holds neither, so such a
 * thread closes no cycle when it begins to wait, unless it upgrades a range that a request
 * acquired: waiters that came before it wait for it from then on. No waiter waits for a request
 * when it begins. Where a request becomes starving, the thread that makes it so notes its name, and
 * looks for it when it has left all locks, before it parks or returns.
 */
#ifndef RANGE_LOCK_DEADLOCK_H
#define RANGE_LOCK_DEADLOCK_H

#include "deadlock_wait.h"
#include "limit.h"

#ifdef MMRANGE_CHECKED

/*
 * With all leaves locked, before the set waits: prepares a wait, with a deadline or without. A
 * claim of the set is seen by threads that have none of these leaves locked.
 */
void range__deadlock_prepare(struct range__wait *wait, struct range__set *set, bool timed);

/* After the range was queued: registers a wait without a deadline. */
void range__deadlock_register(struct range__wait *wait);

/*
 * Looks for cycles that a registered wait is in. Of each, the range that was queued last is taken
 * out of its queue as RANGE_DEADLOCKED. False: the look is to be repeated, as it could not see all.
 */
bool range__deadlock_look(struct range__wait *wait);

/* After the range was queued: registers its wait, and looks if it can have closed a cycle. */
void range__deadlock_enter(struct range__wait *wait);

/* With nothing locked: the wait has ended, with 0 or an error. EDEADLK is reported. */
void range__deadlock_leave(struct range__wait *wait, int error);

/* Parks a waiter, with a look if it has to: 0 or ETIMEDOUT, and may return early for no reason. */
int range__deadlock_park(struct range__wait *wait, struct range__hold *range,
			 const struct range__limit *limit);

/* Sleeps until a look is to be repeated. */
void range__deadlock_nap(void);

/* With nothing locked: looks for cycles through the requests that the calling thread has noted. */
void range__deadlock_look_for_noted(void);

/* The same, before the thread parks or its call returns. */
static inline void range__deadlock_run(void)
{
	if (range__deadlock_nr_noted > 0)
		range__deadlock_look_for_noted();
}

#else

static inline void range__deadlock_prepare(struct range__wait *wait, struct range__set *set,
					   bool timed)
{
	(void)wait, (void)set, (void)timed;
}

static inline void range__deadlock_enter(struct range__wait *wait)
{
	(void)wait;
}

static inline void range__deadlock_leave(struct range__wait *wait, int error)
{
	(void)wait, (void)error;
}

static inline void range__deadlock_run(void)
{
}

static inline int range__deadlock_park(struct range__wait *wait, struct range__hold *range,
				       const struct range__limit *limit)
{
	(void)wait;
	return mmrange__park(&range->state, RANGE_WAITING, limit->clock, limit->deadline);
}

#endif

#endif
