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
#include "blocker.h"
#include "checked.h"
#include "claim.h"
#include "copy.h"
#include "deadlock.h"
#include "fast_path.h"
#include "grant.h"
#include "platform/platform.h"
#include "probes.h"
#include "queue.h"
#include "span.h"
#include "spin.h"
#include "times.h"
#include "waiters.h"
#include "wake.h"

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

	while (is_asleep(range) && !error)
		if (!mmrange__spin(&spins))
			error = range__deadlock_park(self, range, limit);
	return error;
}

/* The error of a waiter that another thread has taken out of its queue; 0: none has. */
static int why_expelled(const struct range__hold *range)
{
	/* acquire: [LEAF-C] */
	switch (atomic_load_explicit(&range->state, memory_order_acquire)) {
	case RANGE_CANCELED:
		return ECANCELED;
	case RANGE_DEADLOCKED:
		return EDEADLK;
	default:
		return 0;
	}
}

/* With all leaves locked: a woken waiter is blocked again, as another acquisition was faster. */
static void wait_again(struct range__set *set, struct range__obstacle obstacle,
		       struct range__wait *self, struct range__wakes *wakes)
{
	struct range__hold *queued = set->queued;
	bool claim = queued->promoted && !set->claims;

	if (obstacle.range == queued && obstacle.leaf == queued->in && !claim) {
		range__leaf_wait_again(queued->in, queued);
		range__wake(set->lock, queued->in, queued->start, queued->end, wakes);
		return;
	}
	range__queue_leave(set, wakes);
	if (claim) {
		queued->promoted = 0;
		range__claim(set);
		range__deadlock_claimed(self);
	}
	range__queue_at(set, obstacle);
}

/* Returns when the acquisition holds, has given up, or was expelled. */
static int wait_until_granted(struct range__set *set, const struct range__limit *limit,
			      struct range__wait *self)
{
	for (;;) {
		struct range__wakes wakes;
		struct range__obstacle obstacle;
		struct range__hold *queued = set->queued;
		int error = sleep_until_woken(self, queued, limit);
		int out = why_expelled(queued);

		wakes.n = 0;
		if (out)
			return out;
		range__span_lock(set, RANGE__KEEP_BIAS);
		/* Again, now that no thread can expel it any more. */
		out = why_expelled(queued);
		if (out) {
			range__span_unlock(set, NULL);
			return out;
		}
		obstacle = range__find_obstacle(set);
		if (!obstacle.range || error)
			range__deadlock_dequeued(self);
		if (!obstacle.range) {
			range__queue_leave_lists(set);
			range__leaf_dequeue(queued->in, queued);
			range__grant_and_unlock(set);
			return 0;
		}
		if (error) {
			range__queue_give_up(set, &wakes);
			range__span_unlock(set, &wakes);
			return error;
		}
		wait_again(set, obstacle, self, &wakes);
		range__span_unlock(set, &wakes);
	}
}

/* With all leaves locked: a newcomer enters a queue, unlocks the leaves and waits. */
static int queue_and_wait(struct range__set *set, struct range__obstacle obstacle,
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
	range__times_waited(set, since);
	range__probe_waited(set, error);
	return error;
}

/* Makes its ranges newcomers. */
static void make_newcomer(struct range__set *set)
{
	for (size_t i = 0; i < set->n; i++)
		range__set_hold(set, i)->arrival = UINT64_MAX;
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

/*
 * Notes the first range of the acquisition in each leaf. A split between two ranges that a thread
 * acquires together would keep no threads apart.
 */
static void note_acquired(struct range__set *set)
{
	struct range__leaf *noted = NULL;

	for (size_t i = 0; i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);

		if (range->leaf[1] != noted)
			range__adapt_note(set->lock, range, RANGE__MEMORY);
		noted = range->leaf[1];
	}
}

static int acquire_or_queue(struct range__set *set, const struct range__limit *limit)
{
	struct range__obstacle obstacle;
	int error = 0;

	range__copy_check(set->lock);
	range__adapt_merge_too_fine(set->lock);
	if (!limit->try && set->one && set->lock->fairness == RANGE_FAIRNESS_BARGING &&
	    range__spin(set->lock, set->one))
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
	} else if (range__checked_deadlock(set)) {
		range__span_unlock(set, NULL);
		return EDEADLK;
	} else {
		error = queue_and_wait(set, obstacle, limit);
	}
	if (!error)
		note_acquired(set);
	return error;
}

int range__acquire_slow(struct range__set *set, const struct range__limit *limit)
{
	int error = acquire_or_queue(set, limit);

	if (!error)
		range__times_held(set);
	return error;
}
