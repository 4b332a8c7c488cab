/* SPDX-License-Identifier: MIT */
#include "look.h"
#include "claim.h"
#include "grant.h"
#include "queue.h"
#include "record.h"
#include "span.h"
#include "waiters.h"
#include "wake.h"

#include <errno.h>

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
	/* relaxed: under the leaf's lock */
	bool claim = atomic_load_explicit(&queued->state, memory_order_relaxed) == RANGE_PROMOTED &&
		     !range__set_claims(set);

	if (obstacle.range == queued && obstacle.leaf == queued->in && !claim) {
		range__leaf_wait_again(queued->in, queued);
		range__wake(set->lock, queued->in, queued->start, queued->end, wakes);
		return;
	}
	range__queue_leave(set, wakes);
	if (claim) {
		range__claim(set);
		range__deadlock_claimed(self, range__set_hold(set, 0));
	}
	range__queue_at(set, obstacle);
}

/* With all leaves locked: a waiter that nothing blocks any more holds, and unlocks them. */
static void hold_and_unlock(struct range__set *set)
{
	range__queue_leave_lists(set);
	range__leaf_dequeue(set->queued->in, set->queued);
	if (range__marked(set->queued, RANGE__UPGRADE)) {
		range__change_mode(set, set->queued->upgrades, RANGE_WRITE);
		range__span_unlock(set, NULL);
	} else {
		range__grant_and_unlock(set);
	}
}

int range__look_again(struct range__set *set, struct range__wait *self, int error)
{
	struct range__wakes wakes;
	struct range__obstacle obstacle;
	int out = why_expelled(set->queued);

	wakes.n = 0;
	if (out)
		return out;
	range__span_lock(set, RANGE__KEEP_BIAS);
	/* Again, now that no thread can expel it any more. */
	out = why_expelled(set->queued);
	if (out) {
		range__span_unlock(set, NULL);
		return out;
	}
	obstacle = range__find_obstacle(set);
	if (self && (!obstacle.range || error))
		range__deadlock_dequeued(self);
	if (!obstacle.range) {
		hold_and_unlock(set);
		return 0;
	}
	if (error)
		range__queue_give_up(set, &wakes);
	else
		wait_again(set, obstacle, self, &wakes);
	range__span_unlock(set, &wakes);
	return error ? error : EINPROGRESS;
}

/*
 * Notes the first range of the acquisition in each leaf. A split between two ranges that a thread
 * acquires together would keep no threads apart.
 */
void range__note_acquired(struct range__set *set, enum range__memory memory)
{
	struct range__leaf *noted = NULL;

	for (size_t i = 0; i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);

		if (range->leaf[1] != noted)
			range__adapt_note(set->lock, range, memory);
		noted = range->leaf[1];
	}
}
