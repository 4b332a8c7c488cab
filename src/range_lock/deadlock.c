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
 * and a starving waiter that has been queued but not registered yet.
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
#include "platform/message.h"

#include <errno.h>
#include <inttypes.h>
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

struct search {
	struct range__wait *start;
	struct range__wait **last; /* of the list of those to go on from */
	bool found;
	bool unsure;
};

static uint32_t thread_of(const struct range *range)
{
	return (uint32_t)(range->owner >> 32);
}

static struct range__wait **chain_of(uint64_t thread)
{
	return &chains[(uint32_t)thread % NR_CHAINS];
}

static void enter(struct range__wait *wait)
{
	struct range__wait **chain = chain_of(wait->range->owner);

	wait->next = *chain;
	wait->link = chain;
	if (wait->next)
		wait->next->link = &wait->next;
	*chain = wait;
	wait->registered = true;
}

static void leave(struct range__wait *wait)
{
	*wait->link = wait->next;
	if (wait->next)
		wait->next->link = wait->link;
}

/* What a thread waits with, if that does not end by itself. */
static struct range__wait *wait_of(uint64_t thread)
{
	struct range__wait *wait = *chain_of(thread);

	while (wait && !mmrange__same_thread(wait->range->owner, thread)) {
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
	const struct range *range = wait->range;

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

static bool excludes(const struct range *a, const struct range *b)
{
	return a->mode == RANGE_WRITE || b->mode == RANGE_WRITE;
}

/* Whether a conflicts with all that b conflicts with. */
static bool covers(const struct range *a, const struct range *b)
{
	return a->start <= b->start && b->end <= a->end &&
	       (a->mode == RANGE_WRITE || b->mode == RANGE_READ);
}

/* from waits for to: for a range that its thread holds, or, if held is NULL, for its wait itself. */
static void reach(struct search *search, struct range__wait *to, struct range__wait *from,
		  const struct range *held)
{
	if (!to || to->search == searches)
		return;
	to->search = searches;
	to->from = from;
	to->held = (struct range__line){ .held = held != NULL };
	if (held) {
		to->held.lock = from->lock;
		to->held.start = held->start;
		to->held.end = held->end;
		to->held.mode = held->mode;
		to->held.thread = thread_of(held);
	}
	to->todo = NULL;
	*search->last = to;
	search->last = &to->todo;
	if (to == search->start)
		search->found = true;
}

static void reach_held(struct search *search, struct range__leaf *leaf, struct range__wait *wait)
{
	const struct range *range = wait->range;
	struct range *r;

	for (r = range__tree_first(leaf->held, range->start, range->end); r;
	     r = range__tree_next(r, range->start, range->end)) {
		range__deadlock_steps++;
		if (excludes(r, range))
			reach(search, wait_of(r->owner), wait, r);
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
	const struct range *range = wait->range;

	if (leaf->nr_starving == 0)
		return false;
	for (struct range *w = range->prev; w; w = w->prev) {
		struct range__wait *other = w->checked_wait;

		range__deadlock_steps++;
		if (!w->starving || !other)
			continue;
		if (excludes(w, range) && range__overlap(w, range->start, range->end) &&
		    (other == search->start || !covers(range, w))) {
			if (other->registered)
				reach(search, other, wait, NULL);
			else
				search->unsure = true;
		}
		if (other->search == searches && covers(w, range))
			return true;
	}
	return false;
}

static void go_on_from(struct search *search, struct range__wait *wait)
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
	}
	range__leaf_unlock(leaf, NULL);
}

/* Whether start is in a cycle; then from leads around it, against the direction of waiting. */
static bool find_cycle(struct range__wait *start, bool *unsure)
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

static void note(struct range__report *report, struct range__line line)
{
	if (report->n < RANGE__MOST_LINES)
		report->lines[report->n] = line;
	report->n++;
}

static void note_wait(struct range__report *report, const struct range__wait *wait,
		      const struct range__wait *waits_for)
{
	note(report, (struct range__line){
			     .lock = wait->lock,
			     .start = wait->range->start,
			     .end = wait->range->end,
			     .mode = wait->range->mode,
			     .starving = wait->starving,
			     .thread = thread_of(wait->range),
			     .waits_for = thread_of(waits_for->range),
		     });
}

static void note_cycle(struct range__report *report, const struct range__wait *start)
{
	const struct range__wait *wait = start;

	report->n = 0;
	do {
		if (wait->held.held)
			note(report, wait->held);
		note_wait(report, wait->from, wait);
		wait = wait->from;
	} while (wait != start);
}

static struct range__wait *youngest_in_cycle(struct range__wait *start)
{
	struct range__wait *youngest = start;

	for (struct range__wait *wait = start->from; wait != start; wait = wait->from)
		if (wait->since > youngest->since)
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

	pthread_mutex_lock(&mutex);
	while (victim != wait && !unsure && find_cycle(wait, &unsure)) {
		victim = youngest_in_cycle(wait);
		note_cycle(&victim->report, wait);
		unsure = !expel(victim);
	}
	pthread_mutex_unlock(&mutex);
	return !unsure;
}

void range__deadlock_prepare(struct range__wait *wait, struct range_lock *lock, struct range *range,
			     bool timed)
{
	range->checked_wait = timed ? NULL : wait;
	wait->lock = lock;
	wait->range = range;
	wait->since = range->stamp;
	wait->timed = timed;
	wait->queued = true;
	atomic_init(&wait->promoted, false);
	wait->again = wait->registered = false;
	wait->search = 0;
}

void range__deadlock_register(struct range__wait *wait)
{
	pthread_mutex_lock(&mutex);
	enter(wait);
	pthread_mutex_unlock(&mutex);
}

void range__deadlock_enter(struct range__wait *wait)
{
	if (wait->timed)
		return;
	range__deadlock_register(wait);
	if (range__checked_holds(wait->range->owner))
		wait->again = !range__deadlock_look(wait);
}

static void print(const struct range__report *report)
{
	struct mmrange__text text = { .length = 0 };

	mmrange__text_add(&text, "libmmrange: deadlock\n");
	for (unsigned int i = 0; i < report->n && i < RANGE__MOST_LINES; i++) {
		const struct range__line *line = &report->lines[i];

		mmrange__text_add(&text,
				  "  thread %" PRIu32 ", range_lock %p: [%#" PRIx64 ", %#" PRIx64
				  ") for %s, ",
				  line->thread, (const void *)line->lock, line->start, line->end,
				  line->mode == RANGE_WRITE ? "writing" : "reading");
		if (line->held)
			mmrange__text_add(&text, "held\n");
		else
			mmrange__text_add(&text, "waits for thread %" PRIu32 "%s\n",
					  line->waits_for, line->starving ? ", starving" : "");
	}
	if (report->n > RANGE__MOST_LINES)
		mmrange__text_add(&text, "  and %u more\n", report->n - RANGE__MOST_LINES);
	mmrange__text_write(&text);
}

void range__deadlock_leave(struct range__wait *wait, int error)
{
	if (wait->timed)
		return;
	pthread_mutex_lock(&mutex);
	leave(wait);
	pthread_mutex_unlock(&mutex);
	if (error == EDEADLK)
		print(&wait->report);
}

void range__deadlock_promoted(struct range *range)
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

int range__deadlock_park(struct range__wait *wait, struct range *range,
			 const struct range__limit *limit)
{
	uint64_t state = RANGE_LOOKS, next;
	struct timespec time;

	if (limit->deadline)
		return mmrange__park(&range->state, RANGE_WAITING, limit->clock, limit->deadline);
	/* acquire: pairs with the release in range__deadlock_promoted() */
	atomic_compare_exchange_strong_explicit(&range->state, &state, RANGE_WAITING,
						memory_order_acquire, memory_order_relaxed);
	if (atomic_exchange_explicit(&wait->promoted, false, memory_order_relaxed) || wait->again)
		wait->again = !range__deadlock_look(wait);
	if (!wait->again)
		return mmrange__park(&range->state, RANGE_WAITING, limit->clock, NULL);
	next = mmrange__now() + AGAIN_INTERVAL;
	time.tv_sec = (time_t)(next / 1000000000u);
	time.tv_nsec = (long)(next % 1000000000u);
	mmrange__park(&range->state, RANGE_WAITING, CLOCK_MONOTONIC, &time);
	return 0;
}

void range__deadlock_child(void)
{
	pthread_mutex_init(&mutex, NULL);
	for (int i = 0; i < NR_CHAINS; i++)
		chains[i] = NULL;
}

#endif
