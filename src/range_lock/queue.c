/* SPDX-License-Identifier: MIT */
#include "queue.h"
#include "claim.h"
#include "lock.h"
#include "platform/platform.h"
#include "request.h"
#include "span.h"
#include "waiters.h"
#include "wake.h"

static bool blocks_here(struct range__set *set, struct range__hold *range, struct range__leaf *leaf,
			struct range__obstacle *obstacle)
{
	if (!range__leaf_blocks(set->lock, leaf, range))
		return false;
	*obstacle = (struct range__obstacle){ range, leaf };
	return true;
}

struct range__obstacle range__find_obstacle(struct range__set *set)
{
	struct range__obstacle obstacle = { NULL, NULL };

	for (size_t i = 0; i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);
		struct range__leaf *leaf = range->leaf[0];
		bool found = blocks_here(set, range, leaf, &obstacle);

		while (!found && leaf != range->leaf[1]) {
			leaf = range__leaf_right(leaf);
			found = blocks_here(set, range, leaf, &obstacle);
		}
		if (found)
			break;
	}
	return obstacle;
}

void range__queue_leave_lists(struct range__set *set)
{
	if (range__set_claims(set))
		range__unclaim(set);
	if (range__set_hold(set, 0)->how & RANGE__LISTED)
		range__wide_remove(set);
}

void range__queue_leave(struct range__set *set, struct range__wakes *wakes)
{
	struct range__hold *queued = set->queued;
	struct range__leaf *leaf = queued->in;
	bool wake = range__leaf_holds_back(queued) && !range__is_closed(set->lock);

	range__leaf_dequeue(leaf, queued);
	if (wake)
		range__wake(set->lock, leaf, queued->start, queued->end, wakes);
}

void range__queue_give_up(struct range__set *set, struct range__wakes *wakes)
{
	bool wake = range__set_claims(set) && !range__is_closed(set->lock);

	range__queue_leave_lists(set);
	range__queue_leave(set, wakes);
	for (size_t i = 0; wake && i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);

		range__wake_range(set, i, range->start, range->end, wakes);
	}
}

void range__expel_and_unlock(struct range__set *set, uint64_t why)
{
	struct range__wakes wakes;
	_Atomic(uint64_t) *state = &set->queued->state;
	bool is_request = range__marked(set->queued, RANGE__ASYNC);
	struct range__walk walk = range__walk_first(set);
	struct range__leaf *leaf = walk.leaf;

	wakes.n = 0;
	range__queue_give_up(set, &wakes);
	if (is_request)
		range__request_canceled(set->lock);
	for (range__walk_next(&walk); walk.leaf; range__walk_next(&walk)) {
		range__leaf_unlock(leaf, NULL);
		leaf = walk.leaf;
	}
	/* relaxed: threads change it with all leaves locked */
	if (is_request && atomic_load_explicit(state, memory_order_relaxed) == RANGE_WAITING) {
		/* relaxed: [ASYNC-2] */
		atomic_store_explicit(state, why, memory_order_relaxed);
		range__request_due(set->queued);
	} else {
		/* release: [LEAF-C], [ASYNC-C] */
		atomic_store_explicit(state, why, memory_order_release);
	}
	/*
	 * The last access to the lock, which may be destroyed as soon as the waiter's call has
	 * returned, or its callback was called.
	 */
	range__leaf_unlock(leaf, &wakes);
	/* [LEAF-R5] The address alone. */
	if (!is_request)
		mmrange__unpark(state, false);
}

void range__queue_at(struct range__set *set, struct range__obstacle obstacle)
{
	set->queued = obstacle.range;
	/* relaxed: under the leaf's lock; the thread itself is awake */
	atomic_store_explicit(&obstacle.range->state, RANGE_WAITING, memory_order_relaxed);
	range__leaf_enqueue(obstacle.leaf, obstacle.range);
}

/*
 * A time later than that of the waiters and claims in the leaf: clocks may stand still for a while.
 * A newcomer that counted as earlier than a claim which blocks it would wait without a cause
 * (waiters.c).
 */
static uint64_t arrival_in(struct range__lock *lock, struct range__leaf *leaf, uint64_t now)
{
	if (leaf->waiters && range__waiters_last_arrival(leaf->waiters) >= now)
		now = range__waiters_last_arrival(leaf->waiters) + 1;
	return leaf->nr_claims > 0 ? range__claims_arrival(lock, leaf, now) : now;
}

void range__queue_arrive(struct range__set *set, struct range__obstacle obstacle)
{
	bool upgrade = range__marked(range__set_hold(set, 0), RANGE__UPGRADE);
	bool starving = upgrade || set->lock->fairness == RANGE_FAIRNESS_FIFO;
	bool wide = range__set_is_wide(set);
	uint64_t now = upgrade ? 0 : mmrange__now(); /* [UPGRADE-1] */

	for (struct range__walk walk = range__walk_first(set); walk.leaf && !upgrade;
	     range__walk_next(&walk))
		now = arrival_in(set->lock, walk.leaf, now);
	for (size_t i = 0; i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);

		range->arrival = now;
		if (!range__marked(range, RANGE__ASYNC))
			range->set = set;
		atomic_store_explicit(&range->in, NULL, memory_order_relaxed);
		range->starving = starving;
		if (set->n > 1)
			range->marks |= RANGE__SEVERAL;
	}
	if (wide)
		range__wide_add(set);
	if (wide && starving)
		range__claim(set);
	range__queue_at(set, obstacle);
	range__leaf_count_wait(obstacle.leaf);
}
