/* SPDX-License-Identifier: MIT */
/*
 * Ends the wait of another thread. *range may be gone at any time as long as it has not been found
 * in a queue: so it is looked for by its address, in every leaf, and not by its fields. The walk by
 * key misses no waiter that waits throughout, see range__forest_lock_key(). A leaf that is biased
 * has no queue, and stays biased.
 *
 * A waiter is taken out under the lock of its leaf, which each of the others needs to grant it, to
 * move it, or to see it in a search for deadlocks.
 */
#include "checked.h"
#include "copy.h"
#include "forest.h"
#include "platform/platform.h"
#include "wait.h"

#include <errno.h>

/* With the leaf locked. */
static bool waits_in(const struct range__leaf *leaf, const struct range_hold *range)
{
	const struct range_hold *w = leaf->wait_first;

	while (w && w != range)
		w = w->next;
	return w != NULL;
}

void range__expel(struct range_lock *lock, struct range__leaf *leaf, struct range_hold *range,
		  uint64_t why, struct range__wakes *wakes)
{
	uint64_t start = range->start, end = range->end;

	range__leaf_dequeue(leaf, range);
	range__wake(lock, leaf, start, end, wakes);
	/* release: [C] */
	atomic_store_explicit(&range->state, why, memory_order_release);
}

int range_cancel(struct range_lock *lock, struct range_hold *range)
{
	struct range__wakes wakes = { .n = 0 };

	range__copy_check(lock);
	range__checked_lock(lock);
	for (uint64_t key = 0; key < UINT64_MAX;) {
		struct range__leaf *leaf =
			range__forest_lock_key(lock, key, range__leaf_lock_reader);

		if (waits_in(leaf, range)) {
			range__expel(lock, leaf, range, RANGE_CANCELED, &wakes);
			/* The last touch of the lock: it may be destroyed as soon as the waiter's
			 * call has returned. */
			range__leaf_unlock(leaf, &wakes);
			/* R5: the address alone. */
			mmrange__unpark(&range->state, false);
			return 0;
		}
		/* relaxed: under the leaf's lock (R2) */
		key = atomic_load_explicit(&leaf->hi, memory_order_relaxed);
		range__leaf_unlock(leaf, NULL);
	}
	return ESRCH;
}
