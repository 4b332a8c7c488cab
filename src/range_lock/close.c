/* SPDX-License-Identifier: MIT */
/*
 * Closing a lock: no later acquisition succeeds, and no waiter stays.
 *
 *	CLOSE-1  No waiter enters a queue after lock->closed was set and the leaf was locked and
 *	         unlocked since. Each thread loads lock->closed with the leaf locked before it
 *	         queues a newcomer there.
 *
 * So it is enough to go through the leaves once and to take out the waiters of each. A waiter that
 * only moves from one queue to another lies in several leaves, or has several ranges: it is found
 * in the list of the leaf where it begins, as range_cancel() finds it.
 */
#include "async.h"
#include "cancel.h"
#include "checked.h"
#include "copy.h"
#include "find.h"
#include "race.h"

/* With the leaf locked. Whether it had a waiter; then the leaf is unlocked. */
static bool expel_one(struct range__lock *lock, struct range__leaf *leaf)
{
	struct range__hold *waiter = leaf->wide ? leaf->wide : leaf->waiters;

	if (!waiter)
		return false;
	range__cancel_waiter(lock, leaf, waiter);
	return true;
}

void range_lock_close(struct range_lock *lock_)
{
	struct range__lock *lock = range__lock(lock_);

	range__race_enter();
	range__copy_check(lock);
	range__checked_lock(lock);
	/* relaxed: [CLOSE-1] */
	atomic_store_explicit(&lock->closed, true, memory_order_relaxed);
	range__copy_slow_down(lock);
	for (uint64_t key = 0; key < UINT64_MAX;) {
		struct range__leaf *leaf = range__find_and_lock(lock, key, NULL);

		if (expel_one(lock, leaf))
			continue;
		key = range__leaf_hi(leaf);
		range__leaf_unlock(leaf, NULL);
	}
	range__async_run();
	range__race_leave();
}
