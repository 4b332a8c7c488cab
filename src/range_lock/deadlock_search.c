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
 * Cost: a search visits a wait once, and passes over a wait that conflicts with nothing but what an
 * earlier visited wait conflicts with. With one key, it goes through the queue once.
 */
#include "deadlock_search.h"

#ifdef MMRANGE_CHECKED

#include "bias.h"
#include "deadlock_register.h"
#include "index.h"
#include "mutex_owner.h"
#include "short_lock.h"
#include "wait_tree.h"

/* Attempts to lock the leaf of a waiter without lock->mutex. */
enum { LOOKS = 100 };
/* The number of the last search. */
static uint64_t searches;

struct search {
	struct range__wait *start;
	struct range__wait **last; /* the end of the list of waits to go on from */
	bool found;
	bool unsure;
};

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

static bool excludes(const struct range__hold *a, const struct range__hold *b)
{
	return a->mode == RANGE_WRITE || b->mode == RANGE_WRITE;
}

/* Whether a conflicts with everything that b conflicts with. */
static bool covers_range(const struct range__hold *a, const struct range__hold *b)
{
	return a->start <= b->start && b->end <= a->end &&
	       (a->mode == RANGE_WRITE || b->mode == RANGE_READ);
}

/*
 * The wait `from` waits for the wait `to`: for a range of its thread, owner; if held is NULL, for a
 * mutex of that thread; or, if owner is 0, for the waiter itself.
 */
static void reach_wait(struct search *search, struct range__wait *to, struct range__wait *from,
		       uint64_t owner, const struct range__hold *held)
{
	if (!to || to->search == searches)
		return;
	to->search = searches;
	to->from = from;
	to->held = (struct range__line){ .held = owner != 0 };
	if (owner) {
		to->held.lock = from->lock;
		to->held.mutex = from->mutex;
		to->held.thread = range__thread_of(owner);
	}
	if (held) {
		to->held.start = held->start;
		to->held.end = held->end;
		to->held.mode = held->mode;
	}
	to->todo = NULL;
	*search->last = to;
	search->last = &to->todo;
	if (to == search->start)
		search->found = true;
}

/* Reaches the waits of all threads that hold a conflicting range in the leaf. */
static void reach_held(struct search *search, struct range__leaf *leaf, struct range__wait *wait,
		       const struct range__hold *range)
{
	struct range__node *node = range__tree_first(leaf->held, range->start, range->end);

	for (; node; node = range__tree_next(node, range->start, range->end)) {
		struct range__hold *r = range__hold_of(node);

		range__deadlock_steps++;
		if (excludes(r, range) &&
		    !(range__marked(range, RANGE__UPGRADE) && r == range->upgrades))
			reach_wait(search, range__deadlock_wait_of(r->owner), wait, r->owner, r);
	}
}

/*
 * The last starving waiter of the queue that came before w and overlaps the range; NULL: there is
 * none.
 */
static struct range__hold *starving_before(struct range__leaf *leaf, const struct range__hold *w,
					   const struct range__hold *range)
{
	return range__waiters_latest(leaf->waiters, KINDS_STARVING, range->start, range->end, w);
}

/* Whether a waits for everything that b waits for. */
static bool stands_for(const struct range__hold *a, const struct range__hold *b)
{
	return covers_range(a, b) && !range__marked(b, RANGE__SEVERAL);
}

static void reach_waiter(struct search *search, struct range__hold *w, struct range__wait *from)
{
	struct range__wait *other = range__wait_of(w);

	if (other->registered)
		reach_wait(search, other, from, 0, NULL);
	else
		search->unsure = true;
}

/*
 * Passes over waiters that conflict with less than this one: this one reaches everything that they
 * would reach. True: a waiter that the search has reached conflicts with more, and so reaches the
 * rest of what this one would in this leaf. (In another leaf, a starving waiter may have come
 * between the two.)
 */
static bool reach_starving(struct search *search, struct range__leaf *leaf,
			   struct range__wait *wait, struct range__hold *range)
{
	struct range__hold *w = range;

	while (leaf->nr_starving > 0 && (w = starving_before(leaf, w, range))) {
		struct range__wait *other = range__wait_of(w);

		range__deadlock_steps++;
		if (!other)
			continue;
		if (range__conflict(w, range) && (other == search->start || !stands_for(range, w)))
			reach_waiter(search, w, wait);
		if (other->search == searches && stands_for(w, range))
			return true;
	}
	return false;
}

/* With a leaf of the waiter locked: reaches earlier claims that conflict. */
static void reach_claims(struct search *search, struct range__wait *wait, struct range__hold *range)
{
	struct range__lock *lock = wait->lock;

	range__short_lock(&lock->claims_mutex);
	for (struct range__hold *w = lock->claims; w; w = w->next_claim)
		if (range__wait_of(w) && range__earlier(w, range) && range__conflict(w, range))
			reach_waiter(search, w, wait);
	range__short_unlock(&lock->claims_mutex);
}

/* With a leaf of the waiter locked: reaches everything that it waits for there. */
static void reach_in_leaf(struct search *search, struct range__leaf *leaf, struct range__wait *wait,
			  struct range__hold *range)
{
	if (leaf->nr_claims > 0)
		reach_claims(search, wait, range);
	if (!reach_starving(search, leaf, wait, range))
		reach_held(search, leaf, wait, range);
}

/* With a leaf locked. Waiters behind a canceled one now wait for what that one waited for. */
static bool was_canceled(const struct range__wait *wait)
{
	/* relaxed: threads change it under the locks of all leaves */
	return atomic_load_explicit(&wait->set->queued->state, memory_order_relaxed) ==
	       RANGE_CANCELED;
}

static void note_self(struct range__wait *wait)
{
	const struct range__hold *range = wait->set->queued;

	wait->self = (struct range__line){
		.start = range->start,
		.end = range->end,
		.mode = (uint8_t)range->mode,
		.starving = range->starving,
	};
}

/*
 * In the leaf that owns key: reaches everything that the range waits for there. Returns the key at
 * which to go on, or UINT64_MAX. *covered: a range that begins in an earlier leaf may conflict.
 */
static uint64_t go_on_at(struct search *search, struct range__wait *wait, size_t i, uint64_t key,
			 bool *covered)
{
	struct range__leaf *leaf = range__search_lock_leaf(wait->lock, key);
	uint64_t next = UINT64_MAX;

	if (!leaf) {
		search->unsure = true;
		return next;
	}
	if (range__search_still_waits(wait)) {
		struct range__hold *range = range__set_hold(wait->set, i);

		note_self(wait);
		/*
		 * It revoked the bias before it waited. But only its own queue prevents a new bias:
		 * readers may be in slots of its other leaves.
		 */
		if (range->mode == RANGE_WRITE)
			range__bias_revoke_leaf(wait->lock, leaf);
		reach_in_leaf(search, leaf, wait, range);
		*covered |= leaf->covers > 0;
		if (range__leaf_hi(leaf) < range->end)
			next = range__leaf_hi(leaf);
	} else if (wait != search->start && was_canceled(wait)) {
		search->unsure = true;
	}
	range__leaf_unlock(leaf, NULL);
	return next;
}

/* A range that covers a leaf is recorded, with its owner, in the leaf where it begins. */
static void reach_covering(struct search *search, struct range__wait *wait,
			   const struct range__hold *range)
{
	for (uint64_t key = 0; key <= range->start;) {
		struct range__leaf *leaf = range__search_lock_leaf(wait->lock, key);

		if (!leaf) {
			search->unsure = true;
			return;
		}
		reach_held(search, leaf, wait, range);
		key = range__leaf_hi(leaf);
		range__leaf_unlock(leaf, NULL);
	}
}

/*
 * For one range of the waiter. Its thread does not return while the wait is registered, so the
 * bounds and the mode of its ranges do not change.
 */
static void go_on_from_range(struct search *search, struct range__wait *wait, size_t i)
{
	const struct range__hold *range = range__set_hold(wait->set, i);
	bool covered = false;

	for (uint64_t key = range->start; key < UINT64_MAX;)
		key = go_on_at(search, wait, i, key, &covered);
	if (covered)
		reach_covering(search, wait, range);
}

static void go_on_from(struct search *search, struct range__wait *wait)
{
	uint64_t owner;

	if (wait->set) {
		for (size_t i = 0; i < wait->set->n; i++)
			go_on_from_range(search, wait, i);
		return;
	}
	owner = range__mutex_owner(wait->mutex);
	if (owner)
		reach_wait(search, range__deadlock_wait_of(owner), wait, owner, NULL);
}

bool range__deadlock_find(struct range__wait *start, bool *unsure)
{
	struct range__wait *first = NULL;
	struct search search = { .start = start, .last = &first };

	searches++;
	go_on_from(&search, start);
	for (; first && !search.found; first = first->todo)
		go_on_from(&search, first);
	*unsure = search.unsure;
	return search.found;
}

#endif
