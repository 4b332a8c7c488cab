/* SPDX-License-Identifier: MIT */
/*
 * Held ranges are in an interval tree, waiters in a queue in the order of their arrival.
 *
 * Waiting is barging with bounded bypass. A newcomer waits for held ranges that conflict, and for
 * conflicting waiters that are starving. A release wakes waiters, it does not hand over to them: a
 * woken waiter looks again, and may find that a newcomer was faster. While one is on its way
 * (WOKEN), no other that conflicts with it is woken (the designated waker of nsync and of Go's
 * sync.Mutex). The rate at which waiters become starving is limited, to one per leaf and time
 * (eventual fairness, as in parking_lot): fair hand-overs cost a context switch each. FIFO is the
 * case in which every waiter is starving from the start.
 *
 * No wake-up is lost, because whenever a leaf is unlocked, each WAITING range in it has a cause
 * that ends with a call of range__leaf_wake() over a range that overlaps it:
 *
 *	(a) a held range that conflicts with it; it will be released; or
 *	(b) a conflicting waiter that is WOKEN; its thread will run, and hold (then (a) applies),
 *	    wait again or give up, both of which wake; or
 *	(c) an earlier conflicting waiter that is starving, which is WOKEN or has a cause itself; it
 *	    will hold or give up.
 *
 * In a leaf where nothing is held and nobody is starving, only (b) is left. So if there is a queue,
 * newcomers may come and go by the fast path, past the waiters, and wake nobody: that is the word
 * EMPTY with WAITERS. When a woken waiter looks again it locks the leaf, and if it has to wait
 * then, for a newcomer that is there, that one has been put into the tree, and its release wakes.
 */
#include "leaf.h"
#include "platform/platform.h"
#include "slots.h"

enum {
	/* Compare-and-swaps before a word that keeps changing is taken by exchange. */
	LOCK_SWAPS = 4,
	/* Looks at a locked word before parking; the lock is held for less than a microsecond. */
	LOCK_SPINS = 100,
};

/* The range in a SINGLE word. */
static struct range_hold *range_in(uint64_t word)
{
	return (struct range_hold *)(uintptr_t)(word & ~(WORD_TAG | WORD_WRITER));
}

void range__leaf_init(struct range__leaf *leaf)
{
	static const struct range__leaf initial = RANGE__LEAF_INITIALIZER;

	*leaf = initial;
	atomic_init(&leaf->hi, 0);
}

/*
 * One attempt to make an unlocked word LOCKED. Swaps that fail because the leaf is acquired and
 * released all the time by the fast path are not repeated for ever: an exchange cannot fail. It may
 * hit a word that another thread has locked meanwhile, and must not take the mark of sleepers away
 * then, so it sets it.
 */
static bool try_lock_word(struct range__leaf *leaf, uint64_t *word, uint64_t locked, int attempt)
{
	if (attempt < LOCK_SWAPS)
		return atomic_compare_exchange_weak_explicit(&leaf->word, word, locked,
							     memory_order_acquire, /* [A2] */
							     memory_order_relaxed);
	*word = atomic_exchange_explicit(&leaf->word, WORD_LOCKED | WORD_SLEEPERS,
					 memory_order_acquire /* [A2] */);
	return (*word & WORD_TAG) != WORD_LOCKED;
}

void range__leaf_lock_reader(struct range__leaf *leaf)
{
	uint64_t locked = WORD_LOCKED;
	int spins = mmrange__spinning_helps() ? LOCK_SPINS : 0;
	int attempts = 0;

	for (;;) {
		/* relaxed: the swap decides, and acquires */
		uint64_t word = atomic_load_explicit(&leaf->word, memory_order_relaxed);

		if ((word & WORD_TAG) != WORD_LOCKED) {
			if (!try_lock_word(leaf, &word, locked, attempts++))
				continue;
			if ((word & WORD_TAG) == WORD_SINGLE)
				range__tree_insert(&leaf->held, range_in(word));
			return;
		}
		if (spins > 0) {
			spins--;
			mmrange__relax();
			continue;
		}
		if (word == WORD_LOCKED && !atomic_compare_exchange_weak_explicit(
						   &leaf->word, &word, WORD_LOCKED | WORD_SLEEPERS,
						   memory_order_relaxed, memory_order_relaxed))
			continue;
		mmrange__park(&leaf->word, WORD_LOCKED | WORD_SLEEPERS, CLOCK_MONOTONIC, NULL);
		/* One is woken at a time: it stands in for those that still sleep. */
		locked = WORD_LOCKED | WORD_SLEEPERS;
	}
}

void range__leaf_lock(struct range__leaf *leaf)
{
	range__leaf_lock_reader(leaf);
	range__slots_revoke(leaf);
}

static void unlock_to(struct range__leaf *leaf, uint64_t word, const struct range__wakes *wakes)
{
	/* [U2] From here on the leaf may be gone, and those to be woken too: only addresses are
	 * used. */
	uint64_t old = atomic_exchange_explicit(&leaf->word, word, memory_order_release);

	if (old & WORD_SLEEPERS)
		mmrange__unpark(&leaf->word, false);
	for (unsigned int i = 0; wakes && i < wakes->n; i++)
		mmrange__unpark(wakes->state[i], false);
}

static uint64_t unlocked_word(const struct range__leaf *leaf)
{
	if (range__leaf_biased(leaf))
		return range__word_of_bias(leaf->generation);
	if (leaf->seams)
		return WORD_TREE;
	if (range__leaf_vacant(leaf))
		return range__word_empty(leaf->generation);
	if (!leaf->held && leaf->nr_woken > 0 && leaf->nr_starving == 0)
		return range__word_empty(leaf->generation) | WORD_WAITERS;
	return WORD_TREE;
}

void range__leaf_unlock(struct range__leaf *leaf, const struct range__wakes *wakes)
{
	unlock_to(leaf, unlocked_word(leaf), wakes);
}

void range__leaf_hold_and_unlock(struct range__leaf *leaf, struct range_hold *range)
{
	bool alone = range__leaf_vacant(leaf) && !range__leaf_biased(leaf);

	if (alone && !leaf->seams) {
		range->stamp = range__word_empty(leaf->generation);
		unlock_to(leaf, range__word_single(range), NULL);
	} else {
		range->stamp = 0; /* it is in no slot */
		range__tree_insert(&leaf->held, range);
		unlock_to(leaf,
			  unlocked_word(leaf) |
				  (alone && range->mode == RANGE_WRITE ? WORD_ALONE : 0),
			  NULL);
	}
}

static bool conflict(const struct range_hold *a, const struct range_hold *b)
{
	return (a->mode == RANGE_WRITE || b->mode == RANGE_WRITE) &&
	       range__overlap(a, b->start, b->end);
}

static bool held_conflict(struct range__leaf *leaf, const struct range_hold *range)
{
	return range__tree_overlap(leaf->held, range->start, range->end,
				   range->mode == RANGE_READ) != NULL;
}

static bool is_woken(const struct range_hold *range)
{
	/* relaxed: under the leaf's lock */
	return atomic_load_explicit(&range->state, memory_order_relaxed) == RANGE_WOKEN;
}

/* Whether a starving waiter that came before range conflicts with it; all waiters came before a
 * newcomer. */
static bool behind_starving(const struct range__leaf *leaf, const struct range_hold *range)
{
	if (leaf->nr_starving == 0)
		return false;
	for (const struct range_hold *w = leaf->wait_first; w && w != range; w = w->next)
		if (w->starving && conflict(w, range))
			return true;
	return false;
}

static bool behind_woken(const struct range__leaf *leaf, const struct range_hold *range)
{
	unsigned int left = leaf->nr_woken;

	for (const struct range_hold *w = leaf->wait_first; w && left > 0; w = w->next) {
		if (!is_woken(w))
			continue;
		left--;
		if (conflict(w, range))
			return true;
	}
	return false;
}

bool range__leaf_blocks(struct range__leaf *leaf, const struct range_hold *range)
{
	return held_conflict(leaf, range) || behind_starving(leaf, range);
}

bool range__leaf_upgradable(struct range__leaf *leaf, const struct range_hold *range)
{
	struct range_hold *r;

	for (r = range__tree_first(leaf->held, range->start, range->end); r;
	     r = range__tree_next(r, range->start, range->end))
		if (r != range)
			return false;
	for (r = leaf->wait_first; r; r = r->next)
		if (r->starving && r->mode == RANGE_READ &&
		    range__overlap(r, range->start, range->end))
			return false;
	return true;
}

/* Does not write the state: a waiter that saw it WAITING for a moment could fall asleep after its
 * wake-up. */
static void queue_last(struct range__leaf *leaf, struct range_hold *range)
{
	range->next = NULL;
	range->prev = leaf->wait_last;
	if (leaf->wait_last)
		leaf->wait_last->next = range;
	else
		leaf->wait_first = range;
	leaf->wait_last = range;
	leaf->nr_starving += range->starving;
	leaf->nr_woken += is_woken(range);
}

void range__leaf_enqueue(struct range__leaf *leaf, struct range_hold *range)
{
	atomic_store_explicit(&range->state, RANGE_WAITING, memory_order_relaxed);
	queue_last(leaf, range);
}

void range__leaf_dequeue(struct range__leaf *leaf, struct range_hold *range)
{
	if (range->prev)
		range->prev->next = range->next;
	else
		leaf->wait_first = range->next;
	if (range->next)
		range->next->prev = range->prev;
	else
		leaf->wait_last = range->prev;
	leaf->nr_starving -= range->starving;
	leaf->nr_woken -= is_woken(range);
}

void range__leaf_wait_again(struct range__leaf *leaf, struct range_hold *range)
{
	if (is_woken(range)) {
		leaf->nr_woken--;
		atomic_store_explicit(&range->state, RANGE_WAITING, memory_order_relaxed);
	}
}

static void wake_one(struct range__leaf *leaf, struct range_hold *range, struct range__wakes *wakes)
{
	leaf->nr_woken++;
	/* relaxed: the waiter goes on to lock the leaf before it looks at anything else */
	atomic_store_explicit(&range->state, RANGE_WOKEN, memory_order_relaxed);
	if (wakes->n < sizeof wakes->state / sizeof wakes->state[0])
		wakes->state[wakes->n++] = &range->state;
	else
		mmrange__unpark(&range->state, false);
}

void range__leaf_wake(struct range__leaf *leaf, uint64_t start, uint64_t end,
		      struct range__wakes *wakes)
{
	for (struct range_hold *w = leaf->wait_first; w; w = w->next) {
		if (!range__overlap(w, start, end))
			continue;
		if (!is_woken(w) && !held_conflict(leaf, w) && !behind_starving(leaf, w) &&
		    (w->starving || !behind_woken(leaf, w)))
			wake_one(leaf, w, wakes);
		/* All that follow and overlap [start, end) conflict with this one, and have it as
		 * their cause. */
		if (w->mode == RANGE_WRITE && w->start <= start && end <= w->end &&
		    (w->starving || (is_woken(w) && leaf->nr_starving == 0)))
			return;
	}
}

struct range_hold *range__leaf_promote(struct range__leaf *leaf, uint64_t bound)
{
	struct range_hold *w = leaf->wait_first;
	uint64_t now;

	if (!w)
		return NULL;
	now = mmrange__now();
	if (now - leaf->fair_at < bound || now - w->stamp < bound)
		return NULL;
	/*
	 * Also if it is in vain: many that are starving are not to be looked through at each
	 * release.
	 */
	leaf->fair_at = now;
	/*
	 * In the order of arrival: after the first that has not waited for long enough, none has.
	 */
	for (; w && now - w->stamp >= bound; w = w->next) {
		if (!w->starving && !behind_starving(leaf, w)) {
			w->starving = 1;
			leaf->nr_starving++;
			return w;
		}
	}
	return NULL;
}

bool range__leaf_crossed(struct range__leaf *leaf, uint64_t point)
{
	/* What overlaps the empty [point, point) starts before it and ends after it. */
	if (range__tree_overlap(leaf->held, point, point, false))
		return true;
	for (const struct range_hold *w = leaf->wait_first; w; w = w->next)
		if (range__overlap(w, point, point))
			return true;
	return false;
}

static void set_bounds(struct range__leaf *leaf, uint64_t lo, uint64_t hi)
{
	/* relaxed: [B] */
	atomic_store_explicit(&leaf->lo, lo, memory_order_relaxed);
	atomic_store_explicit(&leaf->hi, hi, memory_order_relaxed);
	leaf->generation++;
}

/* Merges two queues by the time of arrival, which range->stamp is while a range waits. */
static void merge_queues(struct range__leaf *to, struct range__leaf *from)
{
	struct range_hold *a = to->wait_first, *b = from->wait_first;

	to->wait_first = to->wait_last = from->wait_first = from->wait_last = NULL;
	to->nr_woken = to->nr_starving = from->nr_woken = from->nr_starving = 0;
	while (a || b) {
		struct range_hold **queue = !a || (b && b->stamp < a->stamp) ? &b : &a;
		struct range_hold *oldest = *queue;

		*queue = oldest->next;
		queue_last(to, oldest);
	}
}

void range__leaf_absorb(struct range__leaf *to, struct range__leaf *from)
{
	uint64_t to_lo = atomic_load_explicit(&to->lo, memory_order_relaxed);
	uint64_t to_hi = atomic_load_explicit(&to->hi, memory_order_relaxed);
	uint64_t lo = atomic_load_explicit(&from->lo, memory_order_relaxed);
	uint64_t hi = atomic_load_explicit(&from->hi, memory_order_relaxed);
	uint64_t seam = lo;

	if (to_lo == to_hi) {
		to->held = from->held;
	} else if (lo < to_lo) {
		range__tree_join(&from->held, to->held);
		to->held = from->held;
		hi = to_hi;
	} else {
		range__tree_join(&to->held, from->held);
		lo = to_lo;
	}
	from->held = NULL;
	merge_queues(to, from);
	if (from->fair_at > to->fair_at)
		to->fair_at = from->fair_at;
	set_bounds(to, lo, hi);
	set_bounds(from, seam, seam);
}

void range__leaf_split(struct range__leaf *leaf, uint64_t point, struct range__leaf *right)
{
	struct range_hold *w, *next;

	range__tree_split(&leaf->held, point, &right->held);
	for (w = leaf->wait_first; w; w = next) {
		next = w->next;
		if (w->start < point)
			continue;
		range__leaf_dequeue(leaf, w);
		queue_last(right, w);
	}
	right->fair_at = leaf->fair_at;
	set_bounds(right, point, atomic_load_explicit(&leaf->hi, memory_order_relaxed));
	set_bounds(leaf, atomic_load_explicit(&leaf->lo, memory_order_relaxed), point);
}

/* Whether a waiter has a cause, as the head of this file lists them; earlier ones have been seen to
 * have one. */
static bool has_cause(struct range__leaf *leaf, const struct range_hold *range)
{
	return is_woken(range) || held_conflict(leaf, range) || behind_woken(leaf, range) ||
	       behind_starving(leaf, range);
}

static bool inside(struct range__leaf *leaf, const struct range_hold *range)
{
	return range->start < range->end && range__leaf_covers(leaf, range->start, range->end);
}

bool range__leaf_valid(struct range__leaf *leaf)
{
	uint32_t woken = 0, starving = 0;
	const struct range_hold *prev = NULL;

	if (!range__tree_valid(leaf->held) || range__leaf_biased(leaf))
		return false;
	for (struct range_hold *r = range__tree_first(leaf->held, 0, UINT64_MAX); r;
	     r = range__tree_next(r, 0, UINT64_MAX)) {
		struct range_hold *other = range__tree_first(leaf->held, r->start, r->end);

		if (!inside(leaf, r))
			return false;
		for (; other; other = range__tree_next(other, r->start, r->end))
			if (other != r && conflict(r, other))
				return false;
	}
	for (struct range_hold *w = leaf->wait_first; w; prev = w, w = w->next) {
		if (w->prev != prev || !inside(leaf, w) || !has_cause(leaf, w))
			return false;
		woken += is_woken(w);
		starving += w->starving;
	}
	return leaf->wait_last == prev && leaf->nr_woken == woken && leaf->nr_starving == starving;
}
