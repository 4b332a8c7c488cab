/* SPDX-License-Identifier: MIT */
/*
 * All leaves are locked during a search, so that it sees one moment. It begins at one range and
 * goes on breadth-first, until it comes back to it: what is found is a shortest cycle.
 *
 * A range that waits is in no tree. So the fields of the tree hold the state of the search, which
 * the leaves' locks protect, too:
 *
 *	height  whether it has been reached
 *	parent  from where: the range that waits for it
 *	left    by which range of the same thread: a held one, or itself if it is starving
 *	right   the next one to go on from
 */
#include "deadlock.h"

#ifdef MMRANGE_CHECKED

#include "checked.h"
#include "forest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Nanoseconds between two looks of a waiter. */
static const uint64_t LOOK_INTERVAL = UINT64_C(100000000);

struct search {
	struct range_lock *lock;
	struct range *start;
	struct range **last; /* of the list of those to go on from */
	bool found;
};

/* One range of a cycle, to be shown when nothing is locked any more. */
struct line {
	uint64_t start;
	uint64_t end;
	uint8_t mode;
	bool held;
	bool starving;
	uint32_t thread;
	uint32_t waits_for; /* a thread, if it is not held */
};

enum { MOST_LINES = 32 };

struct report {
	unsigned int n; /* may be more than there is room for */
	struct line lines[MOST_LINES];
};

static uint32_t thread_of(const struct range *range)
{
	return (uint32_t)(range->owner >> 32);
}

/* What a thread waits with, if that does not end by itself. */
static struct range *wait_of(struct range_lock *lock, uint64_t thread)
{
	struct range__leaf *leaf;

	for (uint32_t i = 0; (leaf = range__forest_leaf(lock, i)); i++)
		for (struct range *w = leaf->wait_first; w; w = w->next)
			if (mmrange__same_thread(w->owner, thread))
				return w->checked_timed ? NULL : w;
	return NULL;
}

/* from waits for via, which is to's, or to itself. */
static void reach(struct search *search, struct range *to, struct range *from, struct range *via)
{
	if (!to || to->height)
		return;
	to->height = 1;
	to->parent = from;
	to->left = via;
	to->right = NULL;
	*search->last = to;
	search->last = &to->right;
	if (to == search->start)
		search->found = true;
}

static bool excludes(const struct range *a, const struct range *b)
{
	return a->mode == RANGE_WRITE || b->mode == RANGE_WRITE;
}

static void reach_all_from(struct search *search, struct range *range)
{
	/* Exact, under lock->mutex. */
	struct range__leaf *leaf = range__index_find(search->lock, range->start);
	struct range *r;

	for (r = range__tree_first(leaf->held, range->start, range->end); r;
	     r = range__tree_next(r, range->start, range->end))
		if (excludes(r, range))
			reach(search, wait_of(search->lock, r->owner), range, r);
	for (r = leaf->wait_first; r && r != range; r = r->next)
		if (r->starving && !r->checked_timed && excludes(r, range) &&
		    range__overlap(r, range->start, range->end))
			reach(search, r, range, r);
}

/* Whether start is in a cycle; then parent leads around it, against the direction of waiting. */
static bool find_cycle(struct range_lock *lock, struct range *start)
{
	struct range *first = NULL;
	struct search search = { .lock = lock, .start = start, .last = &first };
	struct range__leaf *leaf;

	for (uint32_t i = 0; (leaf = range__forest_leaf(lock, i)); i++)
		for (struct range *w = leaf->wait_first; w; w = w->next)
			w->height = 0;
	reach_all_from(&search, start);
	for (; first && !search.found; first = first->right)
		reach_all_from(&search, first);
	return search.found;
}

static void note(struct report *report, const struct range *range, bool held, uint32_t waits_for)
{
	if (report->n < MOST_LINES)
		report->lines[report->n] = (struct line){
			.start = range->start,
			.end = range->end,
			.mode = range->mode,
			.held = held,
			.starving = !held && range->starving,
			.thread = thread_of(range),
			.waits_for = waits_for,
		};
	report->n++;
}

/* Notes the cycle that start is in; returns the range in it that was queued last. */
static struct range *note_cycle(struct report *report, struct range *start)
{
	struct range *range = start, *youngest = start;

	do {
		if (range->left != range)
			note(report, range->left, true, 0);
		note(report, range->parent, false, thread_of(range));
		range = range->parent;
		if (range->stamp > youngest->stamp)
			youngest = range;
	} while (range != start);
	return youngest;
}

static void print(const struct report *report, const struct range_lock *lock)
{
	int saved = errno;

	flockfile(stderr);
	fprintf(stderr, "libmmrange: deadlock (range_lock %p)\n", (const void *)lock);
	for (unsigned int i = 0; i < report->n && i < MOST_LINES; i++) {
		const struct line *line = &report->lines[i];

		fprintf(stderr, "  thread %" PRIu32 ": [%#" PRIx64 ", %#" PRIx64 ") for %s, ",
			line->thread, line->start, line->end,
			line->mode == RANGE_WRITE ? "writing" : "reading");
		if (line->held)
			fputs("held\n", stderr);
		else
			fprintf(stderr, "waits for thread %" PRIu32 "%s\n", line->waits_for,
				line->starving ? ", starving" : "");
	}
	if (report->n > MOST_LINES)
		fprintf(stderr, "  and %u more\n", report->n - MOST_LINES);
	funlockfile(stderr);
	errno = saved;
}

static void lock_all(struct range_lock *lock)
{
	struct range__leaf *leaf;

	pthread_mutex_lock(&lock->mutex);
	for (uint32_t i = 0; (leaf = range__forest_leaf(lock, i)); i++)
		range__leaf_lock(leaf);
}

/* Wakes those that were waiting in one of them. */
static void unlock_all(struct range_lock *lock, const struct range__leaf *woken,
		       const struct range__wakes *wakes)
{
	struct range__leaf *leaf;

	for (uint32_t i = 0; (leaf = range__forest_leaf(lock, i)); i++)
		range__leaf_unlock(leaf, leaf == woken ? wakes : NULL);
	pthread_mutex_unlock(&lock->mutex);
}

/* With all leaves locked. */
static bool still_waits(const struct range *range)
{
	/* relaxed: it was changed under the lock of a leaf */
	uint64_t state = atomic_load_explicit(&range->state, memory_order_relaxed);

	return state == RANGE_WAITING || state == RANGE_WOKEN;
}

void range__deadlock_look(struct range_lock *lock, struct range *range)
{
	struct report report = { .n = 0 };
	struct range__wakes wakes = { .n = 0 };
	struct range__leaf *leaf = NULL;
	struct range *youngest = NULL;

	lock_all(lock);
	if (still_waits(range) && find_cycle(lock, range)) {
		youngest = note_cycle(&report, range);
		leaf = range__index_find(lock, youngest->start);
		range__expel(lock, leaf, youngest, RANGE_DEADLOCKED, &wakes);
	}
	unlock_all(lock, leaf, &wakes);
	if (!youngest)
		return;
	print(&report, lock);
	/* R5: the address alone. */
	mmrange__unpark(&youngest->state, false);
}

void range__deadlock_enter(struct range_lock *lock, struct range *range)
{
	/* Nobody waits for who holds nothing, and comes last. */
	if (!range->checked_timed && range__checked_holds(lock))
		range__deadlock_look(lock, range);
}

int range__deadlock_park(struct range_lock *lock, struct range *range,
			 const struct range__limit *limit)
{
	uint64_t next = mmrange__now() + LOOK_INTERVAL;
	struct timespec time = { .tv_sec = (time_t)(next / 1000000000u),
				 .tv_nsec = (long)(next % 1000000000u) };

	if (limit->deadline)
		return mmrange__park(&range->state, RANGE_WAITING, limit->clock, limit->deadline);
	if (mmrange__park(&range->state, RANGE_WAITING, CLOCK_MONOTONIC, &time) == ETIMEDOUT)
		range__deadlock_look(lock, range);
	return 0;
}

#endif
