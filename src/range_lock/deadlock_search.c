/* SPDX-License-Identifier: MIT */
/*
 * A search locks one leaf at a time. It goes from a wait to the ranges and waiters that it waits
 * for, and so sees the edges of a cycle one after the other.
 *
 *	DEADLOCK-S  An edge that the search has seen on its way around a cycle exists until the
 *	            search ends. An edge to a held range exists as long as the holder does not go
 *	            on, and an edge to a starving waiter as long as that waiter is in the queue.
 *	            Both follow if the target has an edge itself, which the search sees next. The
 *	            last edge leads to the thread that searches. (Another thread may release a held
 *	            range, or cancel a waiter; the public header warns of that.)
 *
 * Requests have no thread and no room for the state of a search. Those that lie in one leaf join
 * the front of the range behind them, while the leaf is locked (deadlock_front.h). For those that
 * do not, and so have claimed, the search has a list of its own. It goes on from one of them in a
 * leaf only if it finds the claim there, under the leaf's lock. DEADLOCK-S holds for them as for a
 * starving waiter: a request stays in its queue as long as its target does not go on. A cycle
 * through a request has a registered wait in the request's lock. So the lock stays alive during a
 * search that begins with a request, although the thread that searches neither waits nor holds a
 * range in it.
 *
 * A search misses nothing, because the last event that closes a cycle is followed by a search: see
 * deadlock.h. The edges from before that event exist when the search locks the mutex. There are
 * three things that a search cannot see: a leaf that is just being merged or split; a starving
 * waiter that has been queued but not registered yet; and what a waiter waited for that was
 * canceled after the search had reached it and before the search went on from it. The thread then
 * searches again after a millisecond.
 *
 * A wait for a mutex is registered like one for a range, and leads to the owner of the mutex: see
 * mutex_owner.h. An edge to an owned mutex exists as long as the owner does not go on, too. The
 * library can tell a thread of a cycle before the thread blocks on a mutex, but cannot end its wait
 * later. A cycle that a waiter closes by becoming starving has a wait for a range, which the
 * library can end.
 *
 * Cost: a search visits a wait once, and passes over a wait or a request that conflicts with
 *nothing but what an earlier visited one conflicts with. With one key, it goes through the queue
 *once. It has room for RANGE__MOST_CLAIMERS claims of requests, and misses what only others lead
 *to.
 */
#include "deadlock_search.h"

#ifdef MMRANGE_CHECKED

#include "bias.h"
#include "claim.h"
#include "deadlock_reach.h"
#include "deadlock_register.h"
#include "index.h"
#include "mutex_owner.h"
#include "short_lock.h"
#include "wait_tree.h"

/* Attempts to lock the leaf of a waiter without lock->mutex. */
enum { LOOKS = 100 };
/* The number of the last search. */
static uint64_t searches;

struct range__leaf *range__search_lock_leaf(struct range__lock *lock, uint64_t key)
{
	for (int look = 0; look < LOOKS; look++) {
		struct range__leaf *leaf = range__index_find(lock, key);

		range__leaf_lock(leaf);
		if (range__leaf_has(leaf, key))
			return leaf;
		range__leaf_unlock(leaf, NULL);
		mmrange__relax();
	}
	return NULL;
}

bool range__search_still_waits(const struct range__wait *wait)
{
	uint64_t state;

	if (!wait->queued)
		return false;
	/*
	 * relaxed: threads change it under the locks of all leaves, except to LOOKS, which says the
	 * same
	 */
	state = atomic_load_explicit(&wait->set->queued->state, memory_order_relaxed);
	return state != RANGE_CANCELED && state != RANGE_DEADLOCKED;
}

/* With a leaf locked. Waiters behind a canceled one now wait for what that one waited for. */
static bool was_canceled(const struct range__wait *wait)
{
	/* relaxed: threads change it under the locks of all leaves */
	return atomic_load_explicit(&wait->set->queued->state, memory_order_relaxed) ==
	       RANGE_CANCELED;
}

/*
 * Readers may be in slots. A waiting writer revoked the bias before it waited, but only its own
 * queue prevents a new bias, and not those of its other leaves.
 */
static void see_all(struct range__lock *lock, struct range__leaf *leaf, enum range_mode mode)
{
	if (mode == RANGE_WRITE)
		range__bias_revoke_leaf(lock, leaf);
}

/*
 * In each leaf up to that of the last key: reaches the holders of ranges that the front waits for.
 * A range that covers a leaf is recorded, with its owner, in the leaf where it begins. As the
 * thread of such a range waits and does not release it, the requests of the front still wait for
 * it.
 */
static void reach_covering(struct range__search *search, const struct range__front *front,
			   uint64_t last)
{
	for (uint64_t key = 0; key <= last;) {
		struct range__leaf *leaf = range__search_lock_leaf(front->lock, key);

		if (!leaf) {
			search->unsure = true;
			return;
		}
		range__reach_held(search, leaf, front);
		key = range__leaf_hi(leaf);
		range__leaf_unlock(leaf, NULL);
	}
}

/* Where a search is on its way through the leaves of a range. */
struct way {
	struct range__front front;
	uint64_t start;
	uint64_t key; /* in the next leaf; UINT64_MAX: there is none */
	bool covered; /* a range that begins in an earlier leaf may conflict */
};

/*
 * With the leaf locked: reaches all that the range waits for there, and unlocks the leaf. The range
 * alone, as a front, is the same in all of its leaves, and looks for a covering range once.
 */
static void pass_and_unlock(struct range__search *search, struct way *way, struct range__leaf *leaf,
			    struct range__hold *range)
{
	uint64_t lo = range__leaf_lo(leaf);
	bool covered;

	see_all(way->front.lock, leaf, range->mode);
	range__reach_in_leaf(search, leaf, &way->front, range);
	covered = leaf->covers > 0;
	way->key = range__leaf_hi(leaf) < range->end ? range__leaf_hi(leaf) : UINT64_MAX;
	range__leaf_unlock(leaf, NULL);
	if (covered && way->front.nr_requests > 0)
		reach_covering(search, &way->front, lo - 1);
	else
		way->covered |= covered;
}

static struct range__leaf *enter(struct range__search *search, struct way *way)
{
	struct range__leaf *leaf = range__search_lock_leaf(way->front.lock, way->key);

	way->key = UINT64_MAX;
	search->unsure |= !leaf;
	return leaf;
}

static void note_self(struct range__wait *wait)
{
	wait->self = range__line_of(wait->set->queued);
}

/* In the leaf that owns way->key. */
static void go_on_in_leaf(struct range__search *search, struct range__wait *wait, size_t i,
			  struct way *way)
{
	struct range__leaf *leaf = enter(search, way);

	if (!leaf)
		return;
	if (range__search_still_waits(wait)) {
		note_self(wait);
		pass_and_unlock(search, way, leaf, range__set_hold(wait->set, i));
		return;
	}
	if (wait != search->start && was_canceled(wait))
		search->unsure = true;
	range__leaf_unlock(leaf, NULL);
}

static void begin_way(struct way *way, struct range__lock *lock, struct range__wait *from,
		      uint64_t start)
{
	way->front.lock = lock;
	way->front.from = from;
	way->front.before.request = false;
	way->start = way->key = start;
	way->covered = false;
}

/*
 * For one range of the waiter. Its thread does not return while the wait is registered, so the
 * bounds and the mode of its ranges do not change.
 */
static void go_on_from_range(struct range__search *search, struct range__wait *wait, size_t i)
{
	const struct range__hold *range = range__set_hold(wait->set, i);
	struct way way;

	begin_way(&way, wait->lock, wait, range->start);
	while (way.key < UINT64_MAX)
		go_on_in_leaf(search, wait, i, &way);
	if (way.covered) {
		range__front_begin(&way.front, range);
		reach_covering(search, &way.front, way.start);
	}
}

/*
 * With a leaf of the range locked: the range, if its request still claims. As long as the leaf is
 * locked, the request stays: [CLAIM-1].
 */
static struct range__hold *find_claim(const struct range__claimer *claimer)
{
	struct range__lock *lock = claimer->lock;
	struct range__hold *w;

	range__short_lock(&lock->claims_mutex);
	w = lock->claims;
	while (w && !(w == claimer->range && w->arrival == claimer->arrival))
		w = w->next_claim;
	range__short_unlock(&lock->claims_mutex);
	return w;
}

static void go_on_from_claimer(struct range__search *search, const struct range__claimer *claimer)
{
	const struct range__hold bounds = {
		.start = claimer->start,
		.end = claimer->end,
		.mode = claimer->mode,
	};
	struct way way;

	begin_way(&way, claimer->lock, claimer->from, claimer->start);
	way.front.before = claimer->self;
	while (way.key < UINT64_MAX) {
		struct range__leaf *leaf = enter(search, &way);
		struct range__hold *range = leaf ? find_claim(claimer) : NULL;

		if (range) {
			pass_and_unlock(search, &way, leaf, range);
		} else if (leaf) {
			range__leaf_unlock(leaf, NULL);
			search->unsure = true; /* it may have been canceled */
		}
	}
	if (way.covered) {
		range__front_begin(&way.front, &bounds);
		reach_covering(search, &way.front, way.start);
	}
}

static void go_on_from(struct range__search *search, struct range__wait *wait)
{
	uint64_t owner;

	if (wait->set) {
		for (size_t i = 0; i < wait->set->n; i++)
			go_on_from_range(search, wait, i);
		return;
	}
	owner = range__mutex_owner(wait->mutex);
	if (owner)
		range__reach_mutex_owner(search, wait, owner);
}

static void go_on_from_claimers(struct range__search *search)
{
	while (search->next_claimer < search->nr_claimers && !search->found)
		go_on_from_claimer(search, &search->claimers[search->next_claimer++]);
}

static void begin_search(struct range__search *search, struct range__wait *start)
{
	static struct range__claimer claimers[RANGE__MOST_CLAIMERS];

	*search = (struct range__search){
		.number = ++searches,
		.start = start,
		.last = &search->first,
		.claimers = claimers,
	};
}

/* Goes on from all that it has reached, until it has come back to the start. */
static bool finish(struct range__search *search, bool *unsure)
{
	go_on_from_claimers(search);
	for (; search->first && !search->found; search->first = search->first->todo) {
		go_on_from(search, search->first);
		go_on_from_claimers(search);
	}
	*unsure = search->unsure;
	return search->found;
}

bool range__deadlock_find(struct range__wait *start, bool *unsure)
{
	struct range__search search;

	begin_search(&search, start);
	go_on_from(&search, start);
	return finish(&search, unsure);
}

static struct range__hold *find_claiming_request(struct range__lock *lock,
						 const struct range__request_name *name)
{
	struct range__hold *w;

	range__short_lock(&lock->claims_mutex);
	w = lock->claims;
	while (w && !range__is_named(w, name))
		w = w->next_claim;
	range__short_unlock(&lock->claims_mutex);
	return w;
}

/* With the leaf locked that owns its start: the starving request with this name, or NULL. */
static struct range__hold *find_request(struct range__lock *lock, struct range__leaf *leaf,
					const struct range__request_name *name)
{
	const struct range__hold later = { .marks = RANGE__ASYNC, .arrival = name->arrival + 1 };
	struct range__hold *w = range__waiters_latest(leaf->waiters, KINDS_STARVING, name->start,
						      name->start + 1, &later);

	while (w && w->arrival >= name->arrival && !range__is_named(w, name))
		w = range__waiters_latest(leaf->waiters, KINDS_STARVING, name->start,
					  name->start + 1, w);
	if (w && range__is_named(w, name))
		return w;
	return leaf->nr_claims > 0 ? find_claiming_request(lock, name) : NULL;
}

/* With the leaf locked that owns its start: goes on from the request, and unlocks the leaf. */
static void go_on_from_request(struct range__search *search, struct range__lock *lock,
			       struct range__leaf *leaf, struct range__hold *request)
{
	struct way way;

	search->start->thread = request->owner;
	search->start->self = range__line_of(request);
	begin_way(&way, lock, search->start, request->start);
	if (!range__claim_needed(request)) {
		pass_and_unlock(search, &way, leaf, request);
		if (way.covered)
			reach_covering(search, &way.front, way.start);
		return;
	}
	range__reach_claimer(search, &way.front, request);
	range__leaf_unlock(leaf, NULL);
	/* They are the start themselves. */
	for (unsigned int i = 0; i < search->nr_claimers; i++)
		search->claimers[i].self.request = false;
}

bool range__deadlock_find_request(struct range__lock *lock, const struct range__request_name *name,
				  struct range__wait *stand_in, bool *unsure)
{
	struct range__leaf *leaf = range__search_lock_leaf(lock, name->start);
	struct range__hold *request;
	struct range__search search;

	*unsure = !leaf;
	if (!leaf)
		return false;
	request = find_request(lock, leaf, name);
	if (!request) {
		range__leaf_unlock(leaf, NULL);
		return false;
	}
	stand_in->lock = lock;
	stand_in->set = NULL;
	stand_in->mutex = NULL;
	stand_in->search = 0;
	begin_search(&search, stand_in);
	search.request = *name;
	go_on_from_request(&search, lock, leaf, request);
	return finish(&search, unsure);
}

#endif
