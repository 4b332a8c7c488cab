/* SPDX-License-Identifier: MIT */
/*
 * copy - which copy of the library a lock belongs to: the first copy that uses it, until the lock
 * is initialised again.
 *
 * The fast paths do without a look at anything else: a lock that is closed, or that a race detector
 * watches (race.h), belongs to this copy by another value, which they take for another copy's. So
 * does each call on it take the slow path.
 *
 * Each function that takes a lock checks the copy first, before it looks at anything that another
 * copy may have put into the lock, and before the checked build looks into its registry.
 */
#ifndef RANGE_LOCK_COPY_H
#define RANGE_LOCK_COPY_H

#include "platform/copy.h"

#include "layout.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Claims a lock that belongs to no copy for this one; stops the process if it belongs to another
 * copy.
 */
void range__copy_claim(struct range__lock *lock);

/* From now on the lock, which this copy has claimed, takes the slow paths. */
void range__copy_slow_down(struct range__lock *lock);

/* Whether the lock belongs to this copy, and may take the fast paths. */
static inline bool range__copy_owns(const struct range__lock *lock)
{
	/* relaxed: only the address matters */
	return atomic_load_explicit(&lock->copy, memory_order_relaxed) == &mmrange__copy;
}

static inline void range__copy_check(struct range__lock *lock)
{
	if (!range__copy_owns(lock))
		range__copy_claim(lock);
}

#endif
