/* SPDX-License-Identifier: MIT */
/*
 * Changing a held range. The thread locks all leaves that the range overlaps before or afterwards,
 * and revokes their bias, so that the range is recorded in them. It wakes the waiters of all keys
 * that become free, as a release does.
 */
#include "adapt.h"
#include "async.h"
#include "checked.h"
#include "copy.h"
#include "lock.h"
#include "race.h"
#include "record.h"
#include "slots.h"
#include "span.h"
#include "waiters.h"
#include "wake.h"

#include <errno.h>

/*
 * The leaves that are locked: those of a set of one range, which does not change with the held one.
 */
struct locked {
	struct range__hold whole;
	struct range__set set;
	struct range__wakes wakes;
};

static void lock_leaves(struct locked *locked, struct range__lock *lock, struct range__hold *range,
			uint64_t start, uint64_t end)
{
	range__race_enter();
	locked->whole.start = start;
	locked->whole.end = end;
	locked->whole.mode = range->mode;
	locked->whole.how = 0;
	locked->set = range__set_of(lock, &locked->whole);
	locked->set.hint = start == range->start ? range->leaf[0] : NULL;
	locked->wakes.n = 0;
	range__span_lock(&locked->set, RANGE__REVOKE_BIAS);
	range__slot_vacate(range);
}

static bool overlaps_leaf(const struct range__hold *range, struct range__leaf *leaf)
{
	return range__overlap(range, range__leaf_lo(leaf), range__leaf_hi(leaf));
}

static void wake_part(struct locked *locked, uint64_t start, uint64_t end)
{
	if (start < end)
		range__wake_range(&locked->set, 0, start, end, &locked->wakes);
}

/*
 * A range that was acquired through a slot, or is held for long, meets other threads' ranges in its
 * leaf only here.
 */
static void unlock_leaves(struct locked *locked, const struct range__hold *range)
{
	range__span_unlock(&locked->set, &locked->wakes);
	range__adapt_note(locked->set.lock, range, RANGE__NO_MEMORY);
	range__async_run();
	range__race_leave();
}

void range_downgrade(struct range_lock *lock_, struct range_hold *range_)
{
	struct range__lock *lock = range__lock(lock_);
	struct range__hold *range = range__hold(range_);
	struct locked locked;

	range__copy_check(lock);
	range__checked_held(lock, range);
	if (range->mode == RANGE_READ)
		return;
	lock_leaves(&locked, lock, range, range->start, range->end);
	range__race_release(lock, range->start, range->end, RANGE_WRITE);
	range__change_mode(&locked.set, range, RANGE_READ);
	wake_part(&locked, range->start, range->end);
	unlock_leaves(&locked, range);
}

static bool may_upgrade(struct locked *locked, const struct range__hold *range)
{
	struct range__walk walk = range__walk_first(&locked->set);

	while (walk.leaf && range__leaf_upgradable(locked->set.lock, walk.leaf, range))
		range__walk_next(&walk);
	return !walk.leaf;
}

int range_tryupgrade(struct range_lock *lock_, struct range_hold *range_)
{
	struct range__lock *lock = range__lock(lock_);
	struct range__hold *range = range__hold(range_);
	struct locked locked;
	int error = 0;

	range__copy_check(lock);
	range__checked_held(lock, range);
	if (range->mode == RANGE_WRITE)
		return 0;
	lock_leaves(&locked, lock, range, range->start, range->end);
	if (may_upgrade(&locked, range)) {
		range__change_mode(&locked.set, range, RANGE_WRITE);
		range__race_acquired(lock, range->start, range->end, RANGE_WRITE);
	} else {
		error = EBUSY;
	}
	unlock_leaves(&locked, range);
	return error;
}

int range_shrink(struct range_lock *lock_, struct range_hold *range_, uint64_t start, uint64_t end)
{
	struct range__lock *lock = range__lock(lock_);
	struct range__hold *range = range__hold(range_);
	struct locked locked;
	uint64_t old_start, old_end;

	range__copy_check(lock);
	range__checked_held(lock, range);
	old_start = range->start;
	old_end = range->end;
	if (start >= end || start < old_start || old_end < end)
		return EINVAL;
	if (start == old_start && end == old_end)
		return 0;
	lock_leaves(&locked, lock, range, old_start, old_end);
	range__race_release(lock, old_start, start, range->mode);
	range__race_release(lock, end, old_end, range->mode);
	range__erase(&locked.set, range);
	range->start = start;
	range->end = end;
	range__record(&locked.set, range);
	wake_part(&locked, old_start, start);
	wake_part(&locked, end, old_end);
	unlock_leaves(&locked, range);
	return 0;
}

static struct range__hold part_of(uint64_t start, uint64_t end, enum range_mode mode)
{
	return (struct range__hold){
		.start = start, .end = end, .mode = mode, .arrival = UINT64_MAX
	};
}

static bool part_blocked(struct locked *locked, const struct range__hold *part)
{
	struct range__walk walk = range__walk_first(&locked->set);

	if (part->start == part->end)
		return false;
	for (; walk.leaf; range__walk_next(&walk))
		if (overlaps_leaf(part, walk.leaf) &&
		    range__leaf_blocks(locked->set.lock, walk.leaf, part))
			return true;
	return false;
}

int range_tryextend(struct range_lock *lock_, struct range_hold *range_, uint64_t start,
		    uint64_t end)
{
	struct range__lock *lock = range__lock(lock_);
	struct range__hold *range = range__hold(range_);
	struct range__hold below, above;
	struct locked locked;
	int error = 0;

	range__copy_check(lock);
	range__checked_held(lock, range);
	if (start > range->start || end < range->end)
		return EINVAL;
	if (start == range->start && end == range->end)
		return 0;
	below = part_of(start, range->start, range->mode);
	above = part_of(range->end, end, range->mode);
	if (range__is_closed(lock))
		return ESHUTDOWN;
	lock_leaves(&locked, lock, range, start, end);
	if (part_blocked(&locked, &below) || part_blocked(&locked, &above)) {
		error = EBUSY;
	} else {
		range__erase(&locked.set, range);
		range->start = start;
		range->end = end;
		range__record(&locked.set, range);
		range__race_acquired(lock, below.start, below.end, range->mode);
		range__race_acquired(lock, above.start, above.end, range->mode);
	}
	unlock_leaves(&locked, range);
	return error;
}

int range_split(struct range_lock *lock_, struct range_hold *range_, uint64_t point,
		struct range_hold *upper_)
{
	struct range__lock *lock = range__lock(lock_);
	struct range__hold *range = range__hold(range_);
	struct range__hold *upper = range__hold(upper_);
	struct locked locked;

	range__copy_check(lock);
	range__checked_held(lock, range);
	if (point <= range->start || range->end <= point)
		return EINVAL;
	range__checked_begin(lock, upper);
	range__checked_split(upper, range);
	lock_leaves(&locked, lock, range, range->start, range->end);
	range__erase(&locked.set, range);
	upper->start = point;
	upper->end = range->end;
	upper->mode = range->mode;
	upper->owner = range->owner;
	range->end = point;
	range__record(&locked.set, range);
	range__record(&locked.set, upper);
	unlock_leaves(&locked, range);
	range__checked_end(upper, 0);
	return 0;
}

int range_join(struct range_lock *lock_, struct range_hold *lower_, struct range_hold *upper_)
{
	struct range__lock *lock = range__lock(lock_);
	struct range__hold *lower = range__hold(lower_);
	struct range__hold *upper = range__hold(upper_);
	struct locked locked;
	bool same;

	range__copy_check(lock);
	range__checked_held(lock, lower);
	range__checked_held(lock, upper);
	if (lower->end != upper->start || lower->mode != upper->mode)
		return EINVAL;
	lock_leaves(&locked, lock, lower, lower->start, upper->end);
	range__slot_vacate(upper);
	/* Now that both are recorded, their owners are known. */
	same = mmrange__same_thread(lower->owner, upper->owner);
	if (same) {
		range__erase(&locked.set, lower);
		range__erase(&locked.set, upper);
		lower->end = upper->end;
		range__record(&locked.set, lower);
	}
	unlock_leaves(&locked, lower);
	if (!same)
		return EINVAL;
	range__checked_join(lower, upper);
	range__checked_release(lock, upper);
	range__race_give_back(upper, sizeof(struct range_hold));
	return 0;
}
