/* SPDX-License-Identifier: MIT */
/*
 * What can be done with a range while it is held. All of it happens under the lock of the range's
 * leaf, where the range is in the tree; whatever this frees is woken as by a release.
 */
#include "checked.h"
#include "copy.h"
#include "forest.h"
#include "seams.h"
#include "slots.h"
#include "wait.h"

#include <errno.h>

static struct range__leaf *lock_leaf(struct range_lock *lock, struct range_hold *range)
{
	struct range__leaf *leaf = range__forest_lock(lock, range, range->leaf, false);

	range->leaf = leaf;
	range__slot_vacate(range);
	return leaf;
}

/* With the leaf locked. The order of the tree is that of the starts. */
static void set_bounds(struct range__leaf *leaf, struct range_hold *range, uint64_t start,
		       uint64_t end)
{
	range__tree_erase(&leaf->held, range);
	range->start = start;
	range->end = end;
	range__tree_insert(&leaf->held, range);
}

void range_downgrade(struct range_lock *lock, struct range_hold *range)
{
	struct range__wakes wakes = { .n = 0 };
	struct range__leaf *leaf;

	range__copy_check(lock);
	range__checked_held(lock, range);
	if (range->mode == RANGE_READ)
		return;
	leaf = lock_leaf(lock, range);
	range->mode = RANGE_READ;
	range__tree_update(&leaf->held, range);
	range__wake(lock, leaf, range->start, range->end, &wakes);
	range__leaf_unlock(leaf, &wakes);
}

int range_tryupgrade(struct range_lock *lock, struct range_hold *range)
{
	struct range__leaf *leaf;
	int error = 0;

	range__copy_check(lock);
	range__checked_held(lock, range);
	if (range->mode == RANGE_WRITE)
		return 0;
	leaf = lock_leaf(lock, range);
	if (range__leaf_upgradable(leaf, range)) {
		range->mode = RANGE_WRITE;
		range__tree_update(&leaf->held, range);
	} else {
		error = EBUSY;
	}
	range__leaf_unlock(leaf, NULL);
	return error;
}

int range_shrink(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end)
{
	struct range__wakes wakes = { .n = 0 };
	struct range__leaf *leaf;
	uint64_t old_start, old_end;

	range__copy_check(lock);
	range__checked_held(lock, range);
	old_start = range->start;
	old_end = range->end;
	if (start >= end || start < old_start || old_end < end)
		return EINVAL;
	if (start == old_start && end == old_end)
		return 0;
	leaf = lock_leaf(lock, range);
	set_bounds(leaf, range, start, end);
	if (old_start < start)
		range__wake(lock, leaf, old_start, start, &wakes);
	if (end < old_end)
		range__wake(lock, leaf, end, old_end, &wakes);
	range__seams_released(lock, leaf, old_start, old_end);
	range__leaf_unlock(leaf, &wakes);
	return 0;
}

int range_tryextend(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end)
{
	struct range__leaf *leaf;

	range__copy_check(lock);
	range__checked_held(lock, range);
	if (start > range->start || end < range->end)
		return EINVAL;
	if (start == range->start && end == range->end)
		return 0;
	leaf = range__forest_lock_extension(lock, range, start, end);
	if (!leaf)
		return EBUSY;
	range->leaf = leaf;
	range__slot_vacate(range);
	set_bounds(leaf, range, start, end);
	range__leaf_unlock(leaf, NULL);
	return 0;
}

int range_split(struct range_lock *lock, struct range_hold *range, uint64_t point,
		struct range_hold *upper)
{
	struct range__leaf *leaf;

	range__copy_check(lock);
	range__checked_held(lock, range);
	if (point <= range->start || range->end <= point)
		return EINVAL;
	range__checked_begin(lock, upper);
	leaf = lock_leaf(lock, range);
	upper->start = point;
	upper->end = range->end;
	upper->mode = range->mode;
	upper->owner = range->owner;
	upper->leaf = leaf;
	upper->stamp = 0; /* as for every range in the tree, it is not looked at */
	range->end = point;
	range__tree_update(&leaf->held, range);
	range__tree_insert(&leaf->held, upper);
	range__leaf_unlock(leaf, NULL);
	range__checked_end(upper, 0);
	return 0;
}
