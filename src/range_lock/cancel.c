/* SPDX-License-Identifier: MIT */
/*
 * Ending another thread's wait. *range may be gone at any time as long as the caller has not found
 * it among the waiters. The caller therefore looks for its address in every leaf, and reads no
 * field of it. A range that waits in one leaf is in that leaf's queue; any other is in the list of
 * its first leaf, see claim.h. The walk by key misses no waiter that waits throughout, see
 * range__find_and_lock().
 *
 * A thread expels a waiter under the locks of all the waiter's leaves, which each other thread
 * needs to grant the range, to move it, or to see it in a search for deadlocks. Threads lock leaves
 * in ascending order. So if the caller finds the waiter by a range that is not the first of its
 * set, it begins again at the first one.
 */
#include "cancel.h"
#include "async.h"
#include "checked.h"
#include "claim.h"
#include "copy.h"
#include "find.h"
#include "platform/platform.h"
#include "queue.h"
#include "race.h"
#include "request.h"
#include "span.h"
#include "wait_tree.h"

#include <errno.h>

/* With the leaf locked: the waiter in it that waits with range, and lies in it alone; or NULL. */
static struct range__hold *waits_in_leaf(struct range__leaf *leaf, const struct range__hold *range)
{
	struct range__hold *w = range__waiters_with(leaf->waiters, range);

	return w && !(w->how & RANGE__LISTED) ? w : NULL;
}

/* With the leaf locked: the same, if it begins in the leaf and does not lie in it alone. */
static struct range__hold *begins_in_leaf(struct range__leaf *leaf, const struct range__hold *range)
{
	struct range__hold *w = leaf->wide;

	while (w && !range__waits_with(w, range))
		w = w->next_wide;
	return w;
}

static bool belongs_to(const struct range__set *set, const struct range__hold *waiter)
{
	size_t i = 0;

	while (i < set->n && range__set_hold(set, i) != waiter)
		i++;
	return i < set->n;
}

/* With the leaf locked that owns the start of the set's first range. */
static int cancel_set(struct range__set *set, struct range__leaf *leaf)
{
	range__span_lock_from(set, leaf, RANGE__KEEP_BIAS);
	range__race_cancel(set);
	range__expel_and_unlock(set, RANGE_CANCELED);
	return 0;
}

int range__cancel_waiter(struct range__lock *lock, struct range__leaf *leaf,
			 struct range__hold *waiter)
{
	struct range__set room, *set = range__request_set(waiter, &room);
	struct range__hold *first = range__set_hold(set, 0);
	uint64_t start = first->start;

	if (range__leaf_has(leaf, start))
		return cancel_set(set, leaf);
	range__leaf_unlock(leaf, NULL);
	leaf = range__find_and_lock(lock, start, NULL);
	/* Only addresses count now: the waiter and the set's first range may have gone. */
	first = begins_in_leaf(leaf, first);
	if (first) {
		set = range__request_set(first, &room);
		if (belongs_to(set, waiter) && first == range__set_hold(set, 0))
			return cancel_set(set, leaf);
	}
	range__leaf_unlock(leaf, NULL);
	return ESRCH;
}

static int cancel(struct range__lock *lock, const struct range__hold *range)
{
	for (uint64_t key = 0; key < UINT64_MAX;) {
		struct range__leaf *leaf = range__find_and_lock(lock, key, NULL);
		struct range__hold *waiter = waits_in_leaf(leaf, range);

		if (!waiter)
			waiter = begins_in_leaf(leaf, range);
		if (waiter)
			return range__cancel_waiter(lock, leaf, waiter);
		key = range__leaf_hi(leaf);
		range__leaf_unlock(leaf, NULL);
	}
	return ESRCH;
}

int range_cancel(struct range_lock *lock_, struct range_hold *range)
{
	struct range__lock *lock = range__lock(lock_);
	int error;

	range__race_enter();
	range__copy_check(lock);
	range__checked_lock(lock);
	error = cancel(lock, range__hold(range));
	range__async_run();
	range__race_leave();
	return error;
}
