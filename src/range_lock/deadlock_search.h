/* SPDX-License-Identifier: MIT */
/*
 * deadlock_search - whether a wait is in a cycle of waits. All of it needs the mutex of
 * deadlock_register.h.
 */
#ifndef RANGE_LOCK_DEADLOCK_SEARCH_H
#define RANGE_LOCK_DEADLOCK_SEARCH_H

#include "deadlock_wait.h"

#ifdef MMRANGE_CHECKED

/*
 * Whether a wait is in a cycle; then from leads around it, against the direction of waiting.
 * *unsure: the search could not see all.
 */
bool range__deadlock_find(struct range__wait *start, bool *unsure);

/*
 * The same for a request, while a thread waits in the lock with a registered wait. The stand-in is
 * its place among the waits of the cycle. False also if there is no such request, or it is not
 * starving.
 */
bool range__deadlock_find_request(struct range__lock *lock, const struct range__request_name *name,
				  struct range__wait *stand_in, bool *unsure);

/* The leaf that owns key, locked; NULL: not found without waiting for lock->mutex. */
struct range__leaf *range__search_lock_leaf(struct range__lock *lock, uint64_t key);

/* With a leaf of the waiter locked: whether it has not been expelled. */
bool range__search_still_waits(const struct range__wait *wait);

#endif

#endif
