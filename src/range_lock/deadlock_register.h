/* SPDX-License-Identifier: MIT */
/*
 * deadlock_register - which threads wait without a deadline, in builds with MMRANGE_CHECKED.
 *
 * One mutex protects the register of waits, and is held during a search. A thread that waits
 * without a deadline takes the mutex to register its wait, and again before it returns from its
 * call. Each wait that a search has reached therefore stays where it is, and a thread that the
 * search has seen waiting releases nothing until the search is over.
 *
 * Lock order: the mutex, then one leaf. It comes after no other lock of the library. A thread does
 * not wait for lock->mutex with it: the lock may call a memory hook under lock->mutex, and the hook
 * may use another lock.
 */
#ifndef RANGE_LOCK_DEADLOCK_REGISTER_H
#define RANGE_LOCK_DEADLOCK_REGISTER_H

#include "deadlock_wait.h"

void range__deadlock_lock(void);
void range__deadlock_unlock(void);

/* What follows needs the mutex. */

void range__deadlock_add(struct range__wait *wait);
void range__deadlock_remove(struct range__wait *wait);

/* What a thread waits with, if that does not end by itself. */
struct range__wait *range__deadlock_wait_of(uint64_t thread);

/* The next wait in the lock, behind this one in some order; NULL: the first; NULL after the last.
 */
struct range__wait *range__deadlock_next_in(const struct range__lock *lock,
					    const struct range__wait *wait);

/* How many ranges all searches have looked at. For tests, when no thread uses a lock. */
extern uint64_t range__deadlock_steps;

/* In the child of fork(): no thread waits, and none has the mutex. */
void range__deadlock_child(void);

#endif
