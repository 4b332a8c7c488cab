/* SPDX-License-Identifier: MIT */
#include "copy.h"
#include "checked.h"
#include "lock.h"
#include "platform/detector.h"
#include "platform/message.h"

void range__copy_claim(struct range__lock *lock)
{
	const void *owner = NULL;

	range__checked_lock(lock);
	/* relaxed: as in range__copy_owns() */
	if (atomic_compare_exchange_strong_explicit(&lock->copy, &owner,
						    &mmrange__copy[mmrange__watched()],
						    memory_order_relaxed, memory_order_relaxed) ||
	    owner == &mmrange__copy || owner == &mmrange__copy[1])
		return;
	if (!range__is_alive(lock))
		mmrange__stop("use of a lock that was not initialised (range_lock %p)",
			      (const void *)lock);
	mmrange__copy_stop("range_lock", lock, owner);
}

void range__copy_slow_down(struct range__lock *lock)
{
	/* relaxed: as in range__copy_owns(). Without need, a race detector would see a store. */
	if (range__copy_owns(lock))
		atomic_store_explicit(&lock->copy, &mmrange__copy[1], memory_order_relaxed);
}
