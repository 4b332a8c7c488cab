/* SPDX-License-Identifier: MIT */
/*
 * Waiting to make a held range a writer's. A range that is held has no room for what a waiter
 * needs. So a range on the thread's stack waits in its place, for writing, and is never held.
 *
 *	UPGRADE-1  It waits for nothing but held ranges: a waiter before it may wait for the range
 *	           that the thread holds meanwhile. It counts as starving, and as earlier than all
 *	           other waiters, so that no newcomer passes it, and a release wakes it first.
 *	UPGRADE-2  No two that overlap wait at the same time. Each would wait for the range that
 *	           the thread of the other holds.
 */
#include "async.h"
#include "checked.h"
#include "claim.h"
#include "copy.h"
#include "lock.h"
#include "race.h"
#include "record.h"
#include "slots.h"
#include "span.h"
#include "wait.h"
#include "waiters.h"

#include <errno.h>

/* With the leaf locked: whether a range that overlaps waits to become a writer's. */
static bool has_upgrade(struct range__lock *lock, struct range__leaf *leaf,
			const struct range__hold *range)
{
	struct range__hold *first = range__waiters_earliest(
		leaf->waiters, KINDS_STARVING & KINDS_WRITING, range->start, range->end, NULL);

	return (first && range__marked(first, RANGE__UPGRADE)) ||
	       (leaf->nr_claims > 0 && range__claims_upgrade(lock, range));
}

static bool another_waits(struct range__set *set)
{
	struct range__walk walk = range__walk_first(set);

	while (walk.leaf && !has_upgrade(set->lock, walk.leaf, set->one))
		range__walk_next(&walk);
	return walk.leaf != NULL;
}

static int upgrade(struct range__lock *lock, struct range__hold *range,
		   const struct range__limit *limit)
{
	struct range__hold waiter = {
		.start = range->start,
		.end = range->end,
		.mode = RANGE_WRITE,
		.marks = RANGE__UPGRADE,
		.owner = mmrange__self(),
		.upgrades = range,
	};
	struct range__set set = range__set_of(lock, &waiter);
	struct range__obstacle obstacle;
	int error;

	set.hint = range->leaf[0];
	range__span_lock(&set, RANGE__REVOKE_BIAS);
	range__slot_vacate(range);
	obstacle = range__find_obstacle(&set);
	if (!obstacle.range) {
		range__change_mode(&set, range, RANGE_WRITE);
		range__span_unlock(&set, NULL);
		range__race_ended(&set, 0);
		return 0;
	}
	if (another_waits(&set)) {
		range__span_unlock(&set, NULL);
		return EDEADLK;
	}
	if (range__is_closed(lock)) { /* [CLOSE-1] */
		range__span_unlock(&set, NULL);
		return ESHUTDOWN;
	}
	error = range__queue_and_wait(&set, obstacle, limit);
	range__race_ended(&set, error);
	range__race_give_back(&waiter, sizeof waiter);
	return error;
}

static int upgrade_within(struct range_lock *lock_, struct range_hold *range_,
			  const struct range__limit *limit)
{
	struct range__lock *lock = range__lock(lock_);
	struct range__hold *range = range__hold(range_);
	int error = 0;

	range__race_enter();
	range__copy_check(lock);
	range__checked_held(lock, range);
	if (range->mode == RANGE_READ)
		error = upgrade(lock, range, limit);
	range__async_run();
	range__race_leave();
	return error;
}

int range_upgrade(struct range_lock *lock, struct range_hold *range)
{
	static const struct range__limit limit = { .clock = CLOCK_MONOTONIC };

	return upgrade_within(lock, range, &limit);
}

int range_timedupgrade(struct range_lock *lock, struct range_hold *range, clockid_t clock,
		       const struct timespec *deadline)
{
	const struct range__limit limit = { .clock = clock, .deadline = deadline };

	return range__limit_valid(&limit) ? upgrade_within(lock, range, &limit) : EINVAL;
}
