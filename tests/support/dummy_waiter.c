/* SPDX-License-Identifier: MIT */
#include "dummy_waiter.h"
#include "test.h"

#include "platform/platform.h"
#include "range_lock/checked.h"
#include "range_lock/claim.h"
#include "range_lock/request.h"
#include "range_lock/span.h"
#include "range_lock/waiters.h"

#include <string.h>

static bool blocks(struct range__set *set, size_t i, struct range__leaf *leaf)
{
	return range__leaf_blocks(set->lock, leaf, range__set_hold(set, i));
}

/* The leaf in which range i of the set has to wait; NULL: none. */
static struct range__leaf *find_obstacle(struct range__set *set, size_t i)
{
	struct range__hold *range = range__set_hold(set, i);
	struct range__leaf *leaf = range->leaf[0];

	while (!blocks(set, i, leaf)) {
		if (leaf == range->leaf[1])
			return NULL;
		leaf = range__leaf_right(leaf);
	}
	return leaf;
}

static struct range__leaf *choose_queue(struct range__set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		struct range__leaf *leaf = find_obstacle(set, i);

		set->queued = range__set_hold(set, i);
		if (leaf)
			return leaf;
	}
	return set->queued->leaf[0];
}

/* Only the bounds and the mode of the range are known. */
static void begin(struct range__set *set, struct range__hold *range, uint64_t owner,
		  uint64_t arrival, bool starving)
{
	const struct range__hold known = *range;

	memset(range, 0xa5, sizeof *range);
	range->start = known.start;
	range->end = known.end;
	range->mode = known.mode;
	range->owner = owner;
	range->how = 0;
	range->starving = starving;
	range->arrival = arrival;
	range->set = set;
	range->in = NULL;
	range->marks = set->n > 1 ? RANGE__SEVERAL : 0;
	atomic_init(&range->state, RANGE_WAITING);
}

void queue_set(struct range__set *set, uint64_t owner, uint64_t arrival, bool starving,
	       struct range__wait *wait, bool timed)
{
	struct range__leaf *leaf;

	for (size_t i = 0; i < set->n; i++)
		begin(set, range__set_hold(set, i), owner, arrival, starving);
	range__span_lock(set, RANGE__KEEP_BIAS);
	leaf = choose_queue(set);
	if (wait)
		range__deadlock_prepare(wait, set, timed);
	if (range__set_is_wide(set)) {
		range__wide_add(set);
		if (starving)
			range__claim(set);
	}
	range__leaf_enqueue(leaf, set->queued);
	range__span_unlock(set, NULL);
}

void queue_request(struct range__set *set, uint64_t owner, uint64_t arrival, bool starving,
		   range_callback *callback, void *arg)
{
	const struct range__limit limit = { .callback = callback, .arg = arg };

	queue_set(set, owner, arrival, starving, NULL, false);
	for (size_t i = 0; i < set->n; i++) {
		range__checked_begin(set->lock, range__set_hold(set, i));
		range__checked_disown(range__set_hold(set, i));
		range__set_hold(set, i)->owner = owner;
	}
	range__request_begin(set, &limit);
}

void queue_dummy_waiter(struct range_lock *lock, struct range_hold *range_, struct range__set *set,
			uint64_t start, uint64_t end, uint64_t arrival)
{
	struct range__hold *range = range__hold(range_);

	range->start = start;
	range->end = end;
	range->mode = RANGE_WRITE;
	*set = range__set_of(range__lock(lock), range);
	queue_set(set, mmrange__self(), arrival, false, NULL, false);
}
