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
#include "async.h"
#include "checked.h"
#include "claim.h"
#include "copy.h"
#include "find.h"
#include "platform/platform.h"
#include "queue.h"
#include "request.h"
#include "span.h"
#include "wait_tree.h"

#include <errno.h>

/* With the leaf locked: whether the range waits in it, and lies in it alone. */
static bool waits_in_leaf(struct range__leaf *leaf, const struct range__hold *range)
{
	return range__waiters_have(leaf->waiters, range) && !(range->how & RANGE__LISTED);
}

/* With the leaf locked: whether the range waits, begins in it, and does not lie in it alone. */
static bool begins_in_leaf(struct range__leaf *leaf, const struct range__hold *range)
{
	const struct range__hold *w = leaf->wide;

	while (w && w != range)
		w = w->next_wide;
	return w != NULL;
}

static bool belongs_to(const struct range__set *set, const struct range__hold *range)
{
	size_t i = 0;

	while (i < set->n && range__set_hold(set, i) != range)
		i++;
	return i < set->n;
}

/* With the leaf locked that owns the start of the set's first range. */
static int cancel_set(struct range__set *set, struct range__leaf *leaf)
{
	range__span_lock_from(set, leaf, RANGE__KEEP_BIAS);
	range__expel_and_unlock(set, RANGE_CANCELED);
	return 0;
}

/* With the leaf locked whose list has the range. */
static int cancel_wide(struct range__lock *lock, struct range__leaf *leaf,
		       struct range__hold *range)
{
	struct range__set room, *set = range__request_set(range, &room);
	struct range__hold *first = range__set_hold(set, 0);
	uint64_t start = first->start;

	if (range__leaf_has(leaf, start))
		return cancel_set(set, leaf);
	range__leaf_unlock(leaf, NULL);
	leaf = range__find_and_lock(lock, start, NULL);
	if (begins_in_leaf(leaf, first)) {
		set = range__request_set(first, &room);
		if (belongs_to(set, range) && first == range__set_hold(set, 0))
			return cancel_set(set, leaf);
	}
	range__leaf_unlock(leaf, NULL);
	return ESRCH;
}

static int cancel(struct range__lock *lock, struct range__hold *range)
{
	struct range__set room;

	for (uint64_t key = 0; key < UINT64_MAX;) {
		struct range__leaf *leaf = range__find_and_lock(lock, key, NULL);

		if (waits_in_leaf(leaf, range))
			return cancel_set(range__request_set(range, &room), leaf);
		if (begins_in_leaf(leaf, range))
			return cancel_wide(lock, leaf, range);
		key = range__leaf_hi(leaf);
		range__leaf_unlock(leaf, NULL);
	}
	return ESRCH;
}

int range_cancel(struct range_lock *lock_, struct range_hold *range)
{
	struct range__lock *lock = range__lock(lock_);
	int error;

	range__copy_check(lock);
	range__checked_lock(lock);
	error = cancel(lock, range__hold(range));
	range__async_run();
	return error;
}
