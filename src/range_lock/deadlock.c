/* SPDX-License-Identifier: MIT */
/*
 * A mutex protects the register of waits, and is held during a search. A thread that waits without a
 * deadline takes it to register its wait, and again before it returns from its call. So whatever a
 * search has reached stays where it is, and a thread that it has seen waiting releases nothing until
 * the search is over.
 *
 * That is why a search locks one leaf at a time. It goes from a wait to what that waits for, and so
 * sees the edges of a cycle one after the other. DEADLOCK-S: an edge that has been seen on the way
 * around a cycle is there until the end of the search. An edge to a held range stays as long as its
 * thread does not go on; an edge to a starving waiter stays as long as that one is in the queue. Both
 * are so if the target has an edge itself, which is seen after it. The last edge leads to the thread
 * that searches. (Another thread may release a held range, or cancel a waiter, which the public
 * header speaks of.)
 *
 * A search misses nothing, because the last of the events that close a cycle is followed by one: see
 * deadlock.h. The edges that came before the event are there when the search locks the mutex. What
 * it cannot see, it looks for again after a millisecond: a leaf that is just being merged or split,
 * a starving waiter that has been queued but not registered yet, and what a waiter waited for that
 * was reached and then canceled, before the search went on from it.
 *
 * A wait for a mutex is registered like one for a range, and leads to the owner of the mutex: see
 * mutex.c. An edge to a mutex that is owned stays as long as its thread does not go on, too. The
 * library can tell a thread of a cycle before the thread blocks on a mutex, but not end its wait
 * later. A cycle that a waiter closes by becoming starving has a wait for a range, which it can end.
 *
 * Cost: a search visits a wait once, and does not visit a wait that conflicts with nothing but what
 * a wait visited before it conflicts with. With one key, it goes through the queue once.
 *
 * Lock order: the mutex, then one leaf. It comes after no other lock of the library, and lock->mutex
 * is not waited for with it: a memory hook may be called with that, which may use another lock.
 */
#include "deadlock.h"

#ifdef MMRANGE_CHECKED

#include "checked.h"
#include "claim.h"
#include "forest.h"
#include "short_lock.h"

#include <errno.h>
#include <pthread.h>

enum {
	NR_CHAINS = 1024,
	/* Attempts to lock the leaf of a waiter without lock->mutex. */
	LOOKS = 100,
};

/* Nanoseconds until a look is repeated that could not see all. */
static const uint64_t AGAIN_INTERVAL = UINT64_C(1000000);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* Registered waits, by thread. */
static struct range__wait *chains[NR_CHAINS];

/* The number of the last search. */
static uint64_t searches;

uint64_t range__deadlock_steps;

void range__deadlock_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void range__deadlock_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

struct search {
	struct range__wait *start;
	struct range__wait **last; /* of the list of those to go on from */
	bool found;
	bool unsure;
};

static struct range__wait **chain_of(uint64_t thread)
{
	return &chains[(uint32_t)thread % NR_CHAINS];
}

void range__deadlock_add(struct range__wait *wait)
{
	struct range__wait **chain = chain_of(wait->thread);

	wait->next = *chain;
	wait->link = chain;
	if (wait->next)
		wait->next->link = &wait->next;
	*chain = wait;
	wait->registered = true;
}

void range__deadlock_remove(struct range__wait *wait)
{
	*wait->link = wait->next;
	if (wait->next)
		wait->next->link = wait->link;
	wait->registered = false;
}

struct range__wait *range__deadlock_wait_of(uint64_t thread)
{
	struct range__wait *wait = *chain_of(thread);

	while (wait && !mmrange__same_thread(wait->thread, thread)) {
		wait = wait->next;
		range__deadlock_steps++;
	}
	return wait;
}

/* The leaf that has key, locked; NULL: not found without waiting for lock->mutex. */
static struct range__leaf *lock_leaf(struct range__lock *lock, uint64_t key)
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

/* With a leaf of the waiter locked. */
static bool still_waits(const struct range__wait *wait)
{
	uint64_t state;

	if (!wait->queued)
		return false;
	/* relaxed: it was changed under the locks of all leaves, but for LOOKS, which says the same */
	state = atomic_load_explicit(&wait->set->queued->state, memory_order_relaxed);
	return state != RANGE_CANCELED && state != RANGE_DEADLOCKED;
}

static bool excludes(const struct range__hold *a, const struct range__hold *b)
{
	return a->mode == RANGE_WRITE || b->mode == RANGE_WRITE;
}

/* Whether a conflicts with all that b conflicts with. */
static bool covers(const struct range__hold *a, const struct range__hold *b)
{
	return a->start <= b->start && b->end <= a->end &&
	       (a->mode == RANGE_WRITE || b->mode == RANGE_READ);
}

/*
 * from waits for to: for a range or, if held is NULL, the mutex that its thread owner holds; or, if
 * owner is 0, for its wait itself.
 */
static void reach(struct search *search, struct range__wait *to, struct range__wait *from,
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

/* What is recorded in the leaf and conflicts with range. */
static void reach_held(struct search *search, struct range__leaf *leaf, struct range__wait *wait,
		       const struct range__hold *range)
{
	struct range__node *node = range__tree_first(leaf->held, range->start, range->end);

	for (; node; node = range__tree_next(node, range->start, range->end)) {
		struct range__hold *r = range__hold_of(node);

		range__deadlock_steps++;
		if (excludes(r, range))
			reach(search, range__deadlock_wait_of(r->owner), wait, r->owner, r);
	}
}

static struct range__hold *before(struct range__leaf *leaf, struct range__hold *w)
{
	return w == leaf->waiters ? NULL : w->prev;
}

static struct range__hold *last_before(struct range__leaf *leaf, struct range__hold *range)
{
	/* relaxed: it is not this leaf, and does not become it, while another thread may change it */
	if (atomic_load_explicit(&range->in, memory_order_relaxed) == leaf)
		return before(leaf, range);
	return leaf->waiters ? leaf->waiters->prev : NULL;
}

/* Whether a waits for all that b waits for. */
static bool stands_for(const struct range__hold *a, const struct range__hold *b)
{
	return covers(a, b) && b->set->n == 1;
}

static void reach_waiter(struct search *search, struct range__hold *w, struct range__wait *from)
{
	struct range__wait *other = w->checked_wait;

	if (other->registered)
		reach(search, other, from, 0, NULL);
	else
		search->unsure = true;
}

/*
 * A waiter that conflicts with less than this one is passed over: this one reaches all that it
 * would reach. True: a waiter that has been reached conflicts with more, so that it reaches the rest
 * of what this one would in this leaf. In another one, a starving waiter may have come between the two.
 */
static bool reach_starving(struct search *search, struct range__leaf *leaf,
			   struct range__wait *wait, struct range__hold *range)
{
	struct range__hold *w = leaf->nr_starving > 0 ? last_before(leaf, range) : NULL;

	for (; w; w = before(leaf, w)) {
		struct range__wait *other = w->checked_wait;

		range__deadlock_steps++;
		if (!w->starving || !other || !range__earlier(w, range))
			continue;
		if (range__conflict(w, range) && (other == search->start || !stands_for(range, w)))
			reach_waiter(search, w, wait);
		if (other->search == searches && stands_for(w, range))
			return true;
	}
	return false;
}

/* With a leaf of the waiter locked: claims that came before it. */
static void reach_claims(struct search *search, struct range__wait *wait, struct range__hold *range)
{
	struct range__lock *lock = wait->lock;

	range__short_lock(&lock->claims_mutex);
	for (struct range__hold *w = lock->claims; w; w = w->next_claim)
		if (w->checked_wait && range__earlier(w, range) && range__conflict(w, range))
			reach_waiter(search, w, wait);
	range__short_unlock(&lock->claims_mutex);
}

/* With a leaf of the waiter locked: what it waits for there. */
static void reach_in_leaf(struct search *search, struct range__leaf *leaf, struct range__wait *wait,
			  struct range__hold *range)
{
	if (leaf->nr_claims > 0)
		reach_claims(search, wait, range);
	if (!reach_starving(search, leaf, wait, range))
		reach_held(search, leaf, wait, range);
}

/* With a leaf locked. Waiters that stood behind it wait for what it waited for. */
static bool was_canceled(const struct range__wait *wait)
{
	/* relaxed: it was changed under the locks of all leaves */
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
 * From the leaf that has key: sees what range waits for there. Returns the key at which to go on, or
 * UINT64_MAX; covered says whether a range that begins in an earlier leaf may conflict.
 */
static uint64_t go_on_at(struct search *search, struct range__wait *wait, size_t i, uint64_t key,
			 bool *covered)
{
	struct range__leaf *leaf = lock_leaf(wait->lock, key);
	uint64_t next = UINT64_MAX;

	if (!leaf) {
		search->unsure = true;
		return next;
	}
	if (still_waits(wait)) {
		struct range__hold *range = range__set_hold(wait->set, i);

		note_self(wait);
		/* It ended the bias before it waited, but only its queue is in the way of a new one:
		 * readers may be in slots of the other leaves. */
		if (range->mode == RANGE_WRITE)
			range__leaf_revoke(wait->lock, leaf);
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

/* What covers a leaf is recorded, with its owner, in the leaf where it begins. */
static void reach_covering(struct search *search, struct range__wait *wait,
			   const struct range__hold *range)
{
	for (uint64_t key = 0; key <= range->start;) {
		struct range__leaf *leaf = lock_leaf(wait->lock, key);

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
 * One range of the waiter. While it is registered its thread does not return, so that the bounds and
 * the mode of its ranges stay.
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
		reach(search, range__deadlock_wait_of(owner), wait, owner, NULL);
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

/* A wait for a mutex is passed over: the library cannot end it. */
static struct range__wait *youngest_in_cycle(struct range__wait *start)
{
	struct range__wait *youngest = start;

	for (struct range__wait *wait = start->from; wait != start; wait = wait->from)
		if (wait->set && wait->since > youngest->since)
			youngest = wait;
	return youngest;
}

/* False: its leaf was not found. */
static bool expel(struct range__wait *wait)
{
	struct range__leaf *leaf = lock_leaf(wait->lock, wait->first_start);

	if (!leaf)
		return false;
	if (!still_waits(wait)) {
		range__leaf_unlock(leaf, NULL);
		return true;
	}
	range__span_lock_from(wait->set, leaf, RANGE__KEEP_BIAS);
	range__expel_and_unlock(wait->set, RANGE_DEADLOCKED);
	return true;
}

/* Another cycle may be left when one has been broken. */
bool range__deadlock_look(struct range__wait *wait)
{
	struct range__wait *victim = NULL;
	bool unsure = false;

	range__deadlock_lock();
	while (victim != wait && !unsure && range__deadlock_find(wait, &unsure)) {
		victim = youngest_in_cycle(wait);
		range__deadlock_note(&victim->report, wait);
		unsure = !expel(victim);
	}
	range__deadlock_unlock();
	return !unsure;
}

void range__deadlock_prepare(struct range__wait *wait, struct range__set *set, bool timed)
{
	for (size_t i = 0; i < set->n; i++)
		range__set_hold(set, i)->checked_wait = timed ? NULL : wait;
	wait->lock = set->lock;
	wait->set = set;
	wait->mutex = NULL;
	wait->first_start = range__set_hold(set, 0)->start;
	wait->thread = range__set_hold(set, 0)->owner;
	wait->timed = timed;
	wait->queued = true;
	atomic_init(&wait->promoted, false);
	wait->again = wait->registered = false;
	wait->search = 0;
}

void range__deadlock_register(struct range__wait *wait)
{
	range__deadlock_lock();
	wait->since = range__set_hold(wait->set, 0)->arrival;
	range__deadlock_add(wait);
	range__deadlock_unlock();
}

void range__deadlock_enter(struct range__wait *wait)
{
	if (wait->timed)
		return;
	range__deadlock_register(wait);
	if (range__checked_holds(wait->thread) || range__mutex_owns(wait->thread))
		wait->again = !range__deadlock_look(wait);
}

void range__deadlock_leave(struct range__wait *wait, int error)
{
	if (wait->timed)
		return;
	range__deadlock_lock();
	range__deadlock_remove(wait);
	range__deadlock_unlock();
	if (error == EDEADLK)
		range__deadlock_print(&wait->report);
}

void range__deadlock_promoted(struct range__hold *range)
{
	uint64_t state = RANGE_WAITING;

	if (!range || !range->checked_wait)
		return;
	/* relaxed: what the waiter is to see it sees under the leaf's lock */
	atomic_store_explicit(&range->checked_wait->promoted, true, memory_order_relaxed);
	/* release: pairs with the acquire in range__deadlock_park() */
	if (atomic_compare_exchange_strong_explicit(&range->state, &state, RANGE_LOOKS,
						    memory_order_release, memory_order_relaxed))
		mmrange__unpark(&range->state, false);
}

static void park_briefly(_Atomic(uint64_t) *word, uint64_t expected)
{
	uint64_t end = mmrange__now() + AGAIN_INTERVAL;
	const struct timespec time = { .tv_sec = (time_t)(end / 1000000000u),
				       .tv_nsec = (long)(end % 1000000000u) };

	mmrange__park(word, expected, CLOCK_MONOTONIC, &time);
}

void range__deadlock_nap(void)
{
	_Atomic(uint64_t) word = 0;

	park_briefly(&word, 0);
}

int range__deadlock_park(struct range__wait *wait, struct range__hold *range,
			 const struct range__limit *limit)
{
	uint64_t state = RANGE_LOOKS;

	if (limit->deadline)
		return mmrange__park(&range->state, RANGE_WAITING, limit->clock, limit->deadline);
	/* acquire: pairs with the release in range__deadlock_promoted() */
	atomic_compare_exchange_strong_explicit(&range->state, &state, RANGE_WAITING,
						memory_order_acquire, memory_order_relaxed);
	if (atomic_exchange_explicit(&wait->promoted, false, memory_order_relaxed) || wait->again)
		wait->again = !range__deadlock_look(wait);
	if (!wait->again)
		return mmrange__park(&range->state, RANGE_WAITING, limit->clock, NULL);
	park_briefly(&range->state, RANGE_WAITING);
	return 0;
}

void range__deadlock_child(void)
{
	pthread_mutex_init(&mutex, NULL);
	for (int i = 0; i < NR_CHAINS; i++)
		chains[i] = NULL;
	range__mutex_child();
}

#endif
