/* SPDX-License-Identifier: MIT */
#include "release.h"
#include "async.h"
#include "find.h"
#include "probes.h"
#include "wake.h"

/* While the range is in the word of its first leaf, that leaf's right neighbour does not change. */
void range__release_wide(struct range__lock *lock, struct range__hold *range)
{
	uint64_t from = range->start;

	if (range__leaf_right(range->leaf[0]) == range->leaf[1] &&
	    range__release_single(range, 0)) {
		if (range__release_single(range, 1))
			return;
		from = range->end - 1;
	}
	range__release_slow(lock, range, from);
}

static void erase_and_unlock(struct range__lock *lock, struct range__leaf *leaf,
			     struct range__hold *range)
{
	struct range__wakes wakes;

	wakes.n = 0;
	range__leaf_erase(leaf, range);
	range__wake_after(lock, leaf, range, &wakes);
	range__leaf_unlock(leaf, &wakes);
}

/* Leaf by leaf: to lock all of them at once would help no thread. */
void range__release_slow(struct range__lock *lock, struct range__hold *range, uint64_t from)
{
	uint64_t key = from, end = range->end;
	struct range__leaf *hint = range->leaf[from != range->start];

	range__probe_release(lock, range);
	if (!range__is_wide(range) && range__leaf_lock_tree(hint, range)) {
		erase_and_unlock(lock, hint, range);
		key = end;
	}
	while (key < end) {
		struct range__leaf *leaf = range__find_and_lock(lock, key, hint);

		key = range__leaf_hi(leaf);
		hint = range__leaf_right(leaf);
		erase_and_unlock(lock, leaf, range);
	}
	range__async_run();
}
