/* SPDX-License-Identifier: MIT */
/*
 * A request of several ranges has no memory but theirs. The first one knows the requests and their
 * number, each other one knows the first, and the second one keeps the callback.
 */
#include "request.h"

MMRANGE__THREAD_LOCAL struct range__due range__due;

static struct range__hold *second_of(const struct range__hold *first)
{
	return range__hold(first->requests[1].range);
}

static void mark_request(struct range__set *set, size_t i)
{
	struct range__hold *range = range__set_hold(set, i);

	range->lock = set->lock;
	range->marks |= RANGE__ASYNC | (i > 0 ? RANGE__OTHER : 0);
	if (i > 0)
		range->first = range__set_hold(set, 0);
}

void range__request_begin(struct range__set *set, const struct range__limit *limit)
{
	struct range__hold *first = range__set_hold(set, 0);

	for (size_t i = 0; i < set->n; i++)
		mark_request(set, i);
	first->arg = limit->arg;
	if (set->one) {
		first->callback = limit->callback;
		first->place.several = 0;
		return;
	}
	first->marks |= RANGE__FIRST;
	first->requests = set->requests;
	first->place.several = (uint32_t)set->n;
	second_of(first)->callback_of_set = limit->callback;
}

struct range__callback range__request_callback(const struct range__set *set)
{
	const struct range__hold *first = range__set_hold(set, 0);

	return (struct range__callback){
		.call = set->one ? first->callback : second_of(first)->callback_of_set,
		.arg = first->arg,
	};
}

void range__request_due(struct range__hold *range)
{
	range->next_due = NULL;
	if (range__due.first)
		range__due.last->next_due = range;
	else
		range__due.first = range;
	range__due.last = range;
}

struct range__hold *range__request_take(void)
{
	struct range__hold *range = range__due.first;

	range__due.first = range->next_due;
	return range;
}

struct range__set *range__request_set(struct range__hold *waiter, struct range__set *room)
{
	struct range__hold *first;

	if (!range__marked(waiter, RANGE__ASYNC))
		return waiter->set;
	first = range__marked(waiter, RANGE__OTHER) ? waiter->first : waiter;
	*room = range__set_of(first->lock, first);
	room->queued = waiter;
	if (!range__marked(first, RANGE__FIRST))
		return room;
	room->one = NULL;
	room->requests = first->requests;
	room->n = first->place.several;
	for (size_t i = 0; i < room->n; i++) {
		struct range__hold *range = range__set_hold(room, i);

		/*
		 * relaxed: whether it is in a queue changes under the locks of all leaves only. In
		 * which one may change without this leaf, see range__leaf_move().
		 */
		if (atomic_load_explicit(&range->in, memory_order_relaxed))
			room->queued = range;
	}
	return room;
}
