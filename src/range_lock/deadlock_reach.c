/* SPDX-License-Identifier: MIT */
#include "deadlock_reach.h"

#ifdef MMRANGE_CHECKED

#include "checked.h"
#include "claim.h"
#include "deadlock_register.h"
#include "request.h"
#include "short_lock.h"
#include "wait_tree.h"

/* False: the search has reached the wait before, or there is none. */
static bool reach_wait(struct range__search *search, struct range__wait *to,
		       struct range__wait *from, struct range__line via)
{
	if (!to || to->search == search->number)
		return false;
	to->search = search->number;
	to->from = from;
	to->via = via;
	to->held.held = false;
	to->todo = NULL;
	*search->last = to;
	search->last = &to->todo;
	search->found |= to == search->start;
	return true;
}

void range__reach_mutex_owner(struct range__search *search, struct range__wait *from,
			      uint64_t owner)
{
	const struct range__line none = { .request = false };
	struct range__wait *to = range__deadlock_wait_of(owner);

	if (reach_wait(search, to, from, none))
		to->held = (struct range__line){
			.mutex = from->mutex,
			.held = true,
			.thread = range__thread_of(owner),
		};
}

static void reach_owner(struct range__search *search, const struct range__front *front,
			const struct range__hold *held)
{
	struct range__wait *to = range__deadlock_wait_of(held->owner);

	if (reach_wait(search, to, front->from, range__front_via(front, held)))
		to->held = (struct range__line){
			.lock = front->lock,
			.start = held->start,
			.end = held->end,
			.mode = (uint8_t)held->mode,
			.held = true,
			.thread = range__thread_of(held->owner),
		};
}

void range__reach_held(struct range__search *search, struct range__leaf *leaf,
		       const struct range__front *front)
{
	struct range__node *node = range__tree_first(leaf->held, front->start, front->end);

	for (; node; node = range__tree_next(node, front->start, front->end)) {
		const struct range__hold *r = range__hold_of(node);

		range__deadlock_steps++;
		if (range__checked_owned(r) && r != front->except &&
		    range__front_conflicts(front, r))
			reach_owner(search, front, r);
	}
}

static void reach_waiter(struct range__search *search, const struct range__front *front,
			 const struct range__hold *w)
{
	struct range__wait *other = range__wait_of(w);

	if (other->registered)
		reach_wait(search, other, front->from, range__front_via(front, w));
	else
		search->unsure = true;
}

static bool is_claimer(const struct range__search *search, const struct range__hold *request)
{
	unsigned int i = 0;

	while (i < search->nr_claimers && search->claimers[i].range != request)
		i++;
	return i < search->nr_claimers;
}

/* Whether a later request that conflicts with all that this one does is among the claimers. */
static bool is_known(const struct range__search *search, const struct range__lock *lock,
		     const struct range__hold *request)
{
	const struct range__claimer *known = search->claimers;
	const struct range__claimer *end = known + search->nr_claimers;

	while (known < end && !(known->lock == lock &&
				(known->range == request || known->arrival > request->arrival) &&
				known->start <= request->start && request->end <= known->end &&
				(known->mode == RANGE_WRITE || request->mode == RANGE_READ)))
		known++;
	return known < end;
}

static void add_claimer(struct range__search *search, const struct range__front *front,
			const struct range__hold *w, struct range__line self)
{
	if (search->nr_claimers == RANGE__MOST_CLAIMERS || is_known(search, front->lock, w))
		return;
	search->claimers[search->nr_claimers++] = (struct range__claimer){
		.lock = front->lock,
		.range = w,
		.arrival = w->arrival,
		.start = w->start,
		.end = w->end,
		.mode = w->mode,
		.from = front->from,
		.self = self,
	};
}

void range__reach_claimer(struct range__search *search, const struct range__front *front,
			  struct range__hold *request)
{
	struct range__set room, *set = range__request_set(request, &room);
	struct range__line self = range__line_of(request);

	for (size_t i = 0; i < set->n; i++)
		add_claimer(search, front, range__set_hold(set, i), self);
}

/* False: it is not the request that the search began with. */
static bool reach_start(struct range__search *search, const struct range__front *front,
			const struct range__hold *request)
{
	if (!range__is_named(request, &search->request))
		return false;
	reach_wait(search, search->start, front->from, range__front_via(front, request));
	return true;
}

/* It claims, maybe in other leaves than the one that is locked: so not all of it may be read. */
static void reach_claim(struct range__search *search, const struct range__front *front,
			struct range__hold *request)
{
	if (!reach_start(search, front, request) &&
	    (!range__front_covers(front, request) || range__marked(request, RANGE__SEVERAL)))
		range__reach_claimer(search, front, request);
}

/*
 * It conflicts with the front. True: the front has to grow by it. A request that has been in a
 * front, or was covered by one, is marked: the search reaches all that it waits for.
 */
static bool reach_request(struct range__search *search, const struct range__front *front,
			  struct range__hold *request)
{
	if (range__claim_needed(request)) {
		reach_claim(search, front, request);
		return false;
	}
	if (reach_start(search, front, request) ||
	    request->place.several == (uint32_t)search->number)
		return false;
	request->place.several = (uint32_t)search->number;
	return !range__front_covers(front, request);
}

/* With a leaf locked: reaches the claims that come before a range of the front, and conflict. */
static void reach_claims(struct range__search *search, const struct range__front *front,
			 const struct range__hold *range)
{
	struct range__lock *lock = front->lock;

	range__short_lock(&lock->claims_mutex);
	for (struct range__hold *w = lock->claims; w; w = w->next_claim) {
		if (!range__earlier(w, range) || !range__conflict(w, range))
			continue;
		if (range__marked(w, RANGE__ASYNC))
			reach_claim(search, front, w);
		else if (range__wait_of(w))
			reach_waiter(search, front, w);
	}
	range__short_unlock(&lock->claims_mutex);
}

/* The last starving waiter of the queue that came before w and overlaps the front; or NULL. */
static struct range__hold *starving_before(struct range__leaf *leaf, const struct range__hold *w,
					   const struct range__front *front)
{
	if (leaf->nr_starving == 0)
		return NULL;
	return range__waiters_latest(leaf->waiters, KINDS_STARVING, front->start, front->end, w);
}

static void come_to_request(struct range__search *search, struct range__leaf *leaf,
			    struct range__front *front, struct range__hold *w)
{
	if (range__front_conflicts(front, w) && reach_request(search, front, w) &&
	    range__front_add(front, w) && leaf->nr_claims > 0)
		reach_claims(search, front, w);
}

/* Passes over a waiter that conflicts with less than the front: it leads nowhere else. */
static void come_to_waiter(struct range__search *search, const struct range__front *front,
			   const struct range__hold *w)
{
	if (range__wait_of(w) && range__front_conflicts(front, w) &&
	    (range__wait_of(w) == search->start || range__marked(w, RANGE__SEVERAL) ||
	     !range__front_covers(front, w)))
		reach_waiter(search, front, w);
}

/*
 * Whether the search reaches, by another front, all that the waiter waits for. If the waiter has
 * just joined this front, that was so only before.
 */
static bool is_reached(const struct range__search *search, const struct range__hold *w)
{
	if (!range__marked(w, RANGE__ASYNC))
		return range__wait_of(w) && range__wait_of(w)->search == search->number;
	if (range__claim_needed(w))
		return is_claimer(search, w);
	return w->place.several == (uint32_t)search->number;
}

static bool joins(const struct range__hold *w)
{
	return range__marked(w, RANGE__ASYNC) && !range__claim_needed(w);
}

/*
 * True: a waiter that the search has reached conflicts with all that the front conflicts with, and
 * so reaches the rest of what the front would in this leaf. (In another leaf, a starving waiter may
 * have come between the two.)
 */
static bool reach_starving(struct range__search *search, struct range__leaf *leaf,
			   struct range__front *front, struct range__hold *range)
{
	struct range__hold *w = range;

	while ((w = starving_before(leaf, w, front))) {
		bool reached = is_reached(search, w);

		range__deadlock_steps++;
		if (range__marked(w, RANGE__ASYNC))
			come_to_request(search, leaf, front, w);
		else
			come_to_waiter(search, front, w);
		if (!joins(w))
			reached = is_reached(search, w);
		if (reached && range__front_is_covered(front, w) &&
		    !range__marked(range, RANGE__SEVERAL))
			return true;
	}
	return false;
}

void range__reach_in_leaf(struct range__search *search, struct range__leaf *leaf,
			  struct range__front *front, struct range__hold *range)
{
	range__front_begin(front, range);
	if (leaf->nr_claims > 0)
		reach_claims(search, front, range);
	if (!reach_starving(search, leaf, front, range))
		range__reach_held(search, leaf, front);
}

#endif
