/* SPDX-License-Identifier: MIT */
/*
 * An acquisition that the fast path does not serve spins for a while, then locks all its leaves. If
 * a range conflicts, the thread enters the queue of a leaf where one does, with the range that is
 * blocked there, and parks on that range's state. A woken thread locks all its leaves and looks
 * again: see waiters.c for which thread is woken and why no wake-up is lost. If another leaf blocks
 * it then, it moves to that leaf's queue, where its time of arrival decides its place.
 */
#include "wait.h"
#include "adapt.h"
#include "async.h"
#include "blocker.h"
#include "checked.h"
#include "copy.h"
#include "deadlock.h"
#include "fast_path.h"
#include "grant.h"
#include "lock.h"
#include "look.h"
#include "platform/platform.h"
#include "probes.h"
#include "queue.h"
#include "race.h"
#include "span.h"
#include "spin.h"
#include "times.h"
#include "wait_tree.h"

#include <errno.h>

static bool is_asleep(const struct range__hold *range)
{
	/* relaxed: the waiter locks the leaf next, which orders */
	uint64_t state = atomic_load_explicit(&range->state, memory_order_relaxed);

	return state == RANGE_WAITING || state == RANGE_LOOKS;
}

/* Sleeps until the waiter is woken or expelled, or its deadline has passed: 0 or ETIMEDOUT. */
static int sleep_until_woken(struct range__wait *self, struct range__hold *range,
			     const struct range__limit *limit)
{
	unsigned int spins = 0;
	int error = 0;

	while (is_asleep(range) && !error) {
		if (mmrange__spin(&spins))
			continue;
		range__async_run_before_parking();
		error = range__deadlock_park(self, range, limit);
	}
	return error;
}

/* Returns when the acquisition holds, has given up, or was expelled. */
static int wait_until_granted(struct range__set *set, const struct range__limit *limit,
			      struct range__wait *self)
{
	int error;

	do
		error = range__look_again(set, self, sleep_until_woken(self, set->queued, limit));
	while (error == EINPROGRESS);
	return error;
}

/* With all leaves locked: a newcomer enters a queue and unlocks the leaves. No thread waits. */
static int queue_request(struct range__set *set, struct range__obstacle obstacle,
			 const struct range__limit *limit)
{
	range__race_request(set);
	range__request_begin(set, limit);
	range__queue_arrive(set, obstacle);
	range__probe_entry(set);
	range__span_unlock(set, NULL);
	return EINPROGRESS;
}

int range__queue_and_wait(struct range__set *set, struct range__obstacle obstacle,
			  const struct range__limit *limit)
{
	uint64_t since = range__times_wait(set->lock);
	struct range__wait self;
	int error;

	range__deadlock_prepare(&self, set, limit->deadline != NULL);
	range__queue_arrive(set, obstacle);
	range__probe_entry(set);
	range__span_unlock(set, NULL);
	range__deadlock_enter(&self);
	range__blocker_probe(set, obstacle.range);
	error = wait_until_granted(set, limit, &self);
	range__deadlock_leave(&self, error);
	range__race_give_back(&self, sizeof self);
	range__times_waited(set, since);
	range__probe_waited(set, error);
	return error;
}

/* Makes its ranges newcomers. */
static void make_newcomer(struct range__set *set)
{
	for (size_t i = 0; i < set->n; i++)
		range__make_newcomer(range__set_hold(set, i));
}

/* With all leaves locked, which a reader found locked but biased: a slot is still better. */
static bool enter_slot_instead(struct range__set *set)
{
	struct range__hold *range = set->one;
	struct range__leaf *first, *last;

	if (!range || range->mode == RANGE_WRITE)
		return false;
	first = range->leaf[0];
	last = range->leaf[1];
	if (!first->biased || !last->biased ||
	    (first != last && range__leaf_right(first) != last) || !range__slot_find())
		return false;
	range->saved_word[0] = range__word_of_bias(range__leaf_generation(first));
	range->saved_word[1] = range__word_of_bias(range__leaf_generation(last));
	range__span_unlock(set, NULL);
	if (range__reader_enter(set->lock, range))
		return true;
	make_newcomer(set);
	range__span_lock(set, RANGE__KEEP_BIAS);
	return false;
}

static bool has_waiters(struct range__set *set)
{
	struct range__walk walk = range__walk_first(set);

	while (walk.leaf && !walk.leaf->waiters)
		range__walk_next(&walk);
	return walk.leaf != NULL;
}

static int acquire_or_queue(struct range__set *set, const struct range__limit *limit)
{
	struct range__obstacle obstacle;
	int error = 0;

	range__copy_check(set->lock);
	if (range__is_closed(set->lock))
		return ESHUTDOWN;
	range__adapt_merge_too_fine(set->lock);
	if (!limit->try && !limit->callback && set->one &&
	    set->lock->fairness == RANGE_FAIRNESS_BARGING && range__spin(set->lock, set->one))
		return 0;
	make_newcomer(set);
	range__span_lock(set, RANGE__KEEP_BIAS);
	if (enter_slot_instead(set))
		return 0;
	obstacle = range__find_obstacle(set);
	if (obstacle.range && limit->deadline && range__checked_covered(set)) {
		range__span_unlock(set, NULL);
		if (range__checked_covering_deadlock(set))
			return EDEADLK;
		range__span_lock(set, RANGE__KEEP_BIAS);
		obstacle = range__find_obstacle(set);
	}
	if (!obstacle.range) {
		/* The slow path will release the range, and look for waiters then. */
		if (has_waiters(set))
			range__barges = 0;
		range__grant_and_unlock(set);
	} else if (limit->try) {
		range__span_unlock(set, NULL);
		return EBUSY;
	} else if (range__is_closed(set->lock)) { /* [CLOSE-1] */
		range__span_unlock(set, NULL);
		return ESHUTDOWN;
	} else if (limit->callback) {
		return queue_request(set, obstacle, limit);
	} else if (range__checked_deadlock(set)) {
		range__span_unlock(set, NULL);
		return EDEADLK;
	} else {
		error = range__queue_and_wait(set, obstacle, limit);
	}
	if (!error)
		range__note_acquired(set, RANGE__MEMORY);
	return error;
}

int range__acquire_slow(struct range__set *set, const struct range__limit *limit)
{
	int error = acquire_or_queue(set, limit);

	if (!error)
		range__times_held(set);
	range__race_ended(set, error);
	return error;
}
