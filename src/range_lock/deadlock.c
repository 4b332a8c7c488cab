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
#include "forest.h"

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

/*
 * The leaf of a waiter, locked; NULL: not found without waiting for lock->mutex. A leaf with a queue
 * is not biased, and all that is held in it is in the tree.
 */
static struct range__leaf *lock_leaf(const struct range__wait *wait)
{
	const struct range_hold *range = wait->range;

	for (int look = 0; look < LOOKS; look++) {
		struct range__leaf *leaf = range__index_find(wait->lock, range->start);

		range__leaf_lock_reader(leaf);
		if (range__leaf_covers(leaf, range->start, range->end))
			return leaf;
		range__leaf_unlock(leaf, NULL);
		mmrange__relax();
	}
	return NULL;
}

/* With the leaf locked. */
static bool still_waits(const struct range__wait *wait)
{
	/* relaxed: it was changed under the leaf's lock, but for LOOKS, which says the same */
	uint64_t state = atomic_load_explicit(&wait->range->state, memory_order_relaxed);

	return wait->queued && state != RANGE_CANCELED && state != RANGE_DEADLOCKED;
}

static bool excludes(const struct range_hold *a, const struct range_hold *b)
{
	return a->mode == RANGE_WRITE || b->mode == RANGE_WRITE;
}

/* Whether a conflicts with all that b conflicts with. */
static bool covers(const struct range_hold *a, const struct range_hold *b)
{
	return a->start <= b->start && b->end <= a->end &&
	       (a->mode == RANGE_WRITE || b->mode == RANGE_READ);
}

/*
 * from waits for to: for a range or, if held is NULL, the mutex that its thread owner holds; or, if
 * owner is 0, for its wait itself.
 */
static void reach(struct search *search, struct range__wait *to, struct range__wait *from,
		  uint64_t owner, const struct range_hold *held)
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

static void reach_held(struct search *search, struct range__leaf *leaf, struct range__wait *wait)
{
	const struct range_hold *range = wait->range;
	struct range_hold *r;

	for (r = range__tree_first(leaf->held, range->start, range->end); r;
	     r = range__tree_next(r, range->start, range->end)) {
		range__deadlock_steps++;
		if (excludes(r, range))
			reach(search, range__deadlock_wait_of(r->owner), wait, r->owner, r);
	}
}

/*
 * A waiter that conflicts with less than this one is passed over: this one reaches all that it
 * would reach. True: a waiter that has been reached conflicts with more, so that it reaches the rest
 * of what this one would.
 */
static bool reach_starving(struct search *search, struct range__leaf *leaf,
			   struct range__wait *wait)
{
	const struct range_hold *range = wait->range;

	if (leaf->nr_starving == 0)
		return false;
	for (struct range_hold *w = range->prev; w; w = w->prev) {
		struct range__wait *other = w->checked_wait;

		range__deadlock_steps++;
		if (!w->starving || !other)
			continue;
		if (excludes(w, range) && range__overlap(w, range->start, range->end) &&
		    (other == search->start || !covers(range, w))) {
			if (other->registered)
				reach(search, other, wait, 0, NULL);
			else
				search->unsure = true;
		}
		if (other->search == searches && covers(w, range))
			return true;
	}
	return false;
}

/* With the leaf locked. Waiters that stood behind it wait for what it waited for. */
static bool was_canceled(const struct range__wait *wait)
{
	/* relaxed: it was changed under the leaf's lock */
	return atomic_load_explicit(&wait->range->state, memory_order_relaxed) == RANGE_CANCELED;
}

static void go_on_from_range(struct search *search, struct range__wait *wait)
{
	struct range__leaf *leaf = lock_leaf(wait);

	if (!leaf) {
		search->unsure = true;
		return;
	}
	if (still_waits(wait)) {
		wait->starving = wait->range->starving;
		if (!reach_starving(search, leaf, wait))
			reach_held(search, leaf, wait);
	} else if (wait != search->start && was_canceled(wait)) {
		search->unsure = true;
	}
	range__leaf_unlock(leaf, NULL);
}

static void go_on_from(struct search *search, struct range__wait *wait)
{
	uint64_t owner;

	if (wait->range) {
		go_on_from_range(search, wait);
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
		if (wait->range && wait->since > youngest->since)
			youngest = wait;
	return youngest;
}

/* False: its leaf was not found. */
static bool expel(struct range__wait *wait)
{
	struct range__wakes wakes = { .n = 0 };
	struct range__leaf *leaf = lock_leaf(wait);

	if (!leaf)
		return false;
	if (still_waits(wait))
		range__expel(wait->lock, leaf, wait->range, RANGE_DEADLOCKED, &wakes);
	range__leaf_unlock(leaf, &wakes);
	mmrange__unpark(&wait->range->state, false);
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

void range__deadlock_prepare(struct range__wait *wait, struct range_lock *lock,
			     struct range_hold *range, bool timed)
{
	range->checked_wait = timed ? NULL : wait;
	wait->lock = lock;
	wait->range = range;
	wait->mutex = NULL;
	wait->thread = range->owner;
	wait->since = range->stamp;
	wait->timed = timed;
	wait->queued = true;
	atomic_init(&wait->promoted, false);
	wait->again = wait->registered = false;
	wait->search = 0;
}

void range__deadlock_register(struct range__wait *wait)
{
	range__deadlock_lock();
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

void range__deadlock_promoted(struct range_hold *range)
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

int range__deadlock_park(struct range__wait *wait, struct range_hold *range,
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
