/* SPDX-License-Identifier: MIT */
/*
 * Waiting is barging with bounded bypass. A newcomer waits for held ranges that conflict, and for
 * conflicting waiters that are starving. A release wakes waiters and does not hand over to them: a
 * woken waiter looks again, and may find that a newcomer was faster. While a waiter is WOKEN, no
 * other waiter that conflicts with it is woken (the designated waker of nsync and of Go's
 * sync.Mutex). One waiter per leaf and time becomes starving (eventual fairness, as in
 * parking_lot), because each fair hand-over costs a context switch. FIFO is the case in which every
 * waiter is starving from the start. An upgrade waits for held ranges only, see upgrade.c.
 *
 * No wake-up is lost. Whenever a leaf is unlocked, each WAITING range in its queue has a cause,
 * which ends with a call of range__leaf_wake() in this leaf, over a range that overlaps the waiter
 * (for a request, read "the thread that has it on its list" for "its thread", see request.h):
 *
 *	(a) a conflicting held range, which will be released; or
 *	(b) a conflicting waiter in the queue that is WOKEN. Its thread will run, and will hold the
 *	    range (then (a) applies), wait again, here or in another queue, or give up, all of which
 *	    wake; or
 *	(c) an earlier conflicting waiter in the queue that is starving. It is WOKEN or has a cause
 *	    itself, and will hold or give up; or
 *	(d) an earlier conflicting claim. Its acquisition has a cause itself, in this leaf or in
 *	    another one, and will hold or give up. See claim.h.
 *
 * In a leaf where no range is held and no waiter is starving or claims, only (b) is left. Newcomers
 * may then come and go by the fast path, past the queue, and wake no waiter: that is the word EMPTY
 * with WAITERS. When a woken waiter looks again it locks the leaf. If it has to wait then for a
 * newcomer, it has recorded that newcomer's range, and the release of the range wakes.
 */
#include "waiters.h"
#include "claim.h"
#include "platform/platform.h"
#include "request.h"

enum {
	/*
	 * So many waiters a thread looks at, at most, to find one that may become starving: a
	 * thousand could be behind one that is starving already.
	 */
	PROMOTION_LOOKS = 16
};

static uint64_t state_of(const struct range__hold *range)
{
	/* relaxed: under the leaf's lock */
	return atomic_load_explicit(&range->state, memory_order_relaxed);
}

static bool is_woken(const struct range__hold *range)
{
	return state_of(range) == RANGE_WOKEN || state_of(range) == RANGE_PROMOTED;
}

/* A request is woken by a thread that goes on to look at it, so no waiter has to wait for that. */
static bool may_be_promoted(const struct range__hold *range)
{
	return !range->starving && state_of(range) != RANGE_PROMOTED &&
	       !(is_woken(range) && range__marked(range, RANGE__ASYNC));
}

/* What the tree is to know of a waiter. */
static unsigned int kind_of(const struct range__hold *range)
{
	unsigned int kind = range->mode == RANGE_WRITE ? WAITER_WRITES : 0;

	if (range->starving)
		kind |= WAITER_STARVING;
	if (is_woken(range))
		kind |= may_be_promoted(range) ? WAITER_WOKEN : WAITER_WOKEN | WAITER_ASIDE;
	return kind;
}

static void change_kind(struct range__leaf *leaf, struct range__hold *range, unsigned int kind)
{
	range__waiters_erase(&leaf->waiters, range);
	range__waiters_insert(&leaf->waiters, range, kind);
}

/* Of these kinds, those that conflict with the range's mode. */
static unsigned int conflicting(unsigned int kinds, const struct range__hold *range)
{
	return range->mode == RANGE_WRITE ? kinds : kinds & KINDS_WRITING;
}

/* Whether a starving waiter that came before range conflicts with it. */
static bool behind_starving(const struct range__leaf *leaf, const struct range__hold *range)
{
	return leaf->nr_starving > 0 &&
	       range__waiters_earliest(leaf->waiters, conflicting(KINDS_STARVING, range),
				       range->start, range->end, range);
}

static bool behind_woken(const struct range__leaf *leaf, const struct range__hold *range)
{
	return leaf->nr_woken > 0 &&
	       range__waiters_earliest(leaf->waiters, conflicting(KINDS_WOKEN, range), range->start,
				       range->end, NULL);
}

static bool covered_by_other(const struct range__leaf *leaf, bool itself)
{
	return leaf->covers > (itself ? 1 : 0);
}

/* Whether a held range, or a part of it, is the only one there in this leaf. */
static bool is_alone(struct range__leaf *leaf, const struct range__hold *range)
{
	struct range__node *node = range__tree_first(leaf->held, range->start, range->end);
	bool spanned = range->start < range__leaf_lo(leaf) && range__leaf_hi(leaf) < range->end;

	while (node && range__hold_of(node) == range)
		node = range__tree_next(node, range->start, range->end);
	return !node && !covered_by_other(leaf, spanned);
}

bool range__leaf_blocks(struct range__lock *lock, struct range__leaf *leaf,
			const struct range__hold *range)
{
	if (range__marked(range, RANGE__UPGRADE)) /* [UPGRADE-1] */
		return !is_alone(leaf, range->upgrades);
	return range__leaf_holds_conflict(leaf, range) || behind_starving(leaf, range) ||
	       (leaf->nr_claims > 0 && range__claims_block(lock, leaf, range));
}

bool range__leaf_upgradable(struct range__lock *lock, struct range__leaf *leaf,
			    const struct range__hold *range)
{
	if (!is_alone(leaf, range))
		return false;
	if (leaf->nr_starving > 0 &&
	    range__waiters_earliest(leaf->waiters, KINDS_STARVING & ~KINDS_WRITING, range->start,
				    range->end, NULL))
		return false;
	return leaf->nr_claims == 0 || !range__claims_read(lock, leaf, range);
}

/*
 * Does not write the state: a waiter that saw WAITING for a moment could fall asleep after its
 * wake-up.
 */
void range__leaf_enqueue(struct range__leaf *leaf, struct range__hold *range)
{
	atomic_store_explicit(&range->in, leaf, memory_order_relaxed);
	leaf->nr_starving += range->starving;
	leaf->nr_woken += is_woken(range);
	range__waiters_insert(&leaf->waiters, range, kind_of(range));
}

static void take_out(struct range__leaf *leaf, struct range__hold *range)
{
	range__waiters_erase(&leaf->waiters, range);
	leaf->nr_starving -= range->starving;
	leaf->nr_woken -= is_woken(range);
}

void range__leaf_dequeue(struct range__leaf *leaf, struct range__hold *range)
{
	take_out(leaf, range);
	atomic_store_explicit(&range->in, NULL, memory_order_relaxed);
}

void range__leaf_move(struct range__leaf *from, struct range__leaf *to, struct range__hold *range)
{
	take_out(from, range);
	range__leaf_enqueue(to, range);
}

bool range__leaf_holds_back(const struct range__hold *range)
{
	return is_woken(range) || range->starving;
}

void range__leaf_wait_again(struct range__leaf *leaf, struct range__hold *range)
{
	if (is_woken(range)) {
		leaf->nr_woken--;
		atomic_store_explicit(&range->state, RANGE_WAITING, memory_order_relaxed);
		change_kind(leaf, range, kind_of(range));
	}
}

/* With the leaf locked: a waiter of the queue that lies in this leaf alone becomes starving. */
static void make_starving(struct range__leaf *leaf, struct range__hold *range)
{
	range->starving = 1;
	leaf->nr_starving++;
	change_kind(leaf, range, kind_of(range));
}

/* The state becomes RANGE_WOKEN or RANGE_PROMOTED. */
static void wake_one(struct range__leaf *leaf, struct range__hold *range, uint64_t state,
		     struct range__wakes *wakes)
{
	leaf->nr_woken++;
	/* relaxed: the waiter locks the leaf before it looks at anything else */
	atomic_store_explicit(&range->state, state, memory_order_relaxed);
	change_kind(leaf, range, kind_of(range));
	if (range__marked(range, RANGE__ASYNC))
		range__request_due(range);
	else if (wakes->n < sizeof wakes->state / sizeof wakes->state[0])
		wakes->state[wakes->n++] = &range->state;
	else
		mmrange__unpark(&range->state, false);
}

/*
 * The sleeping waiters that the release of [start, end) may have made way for. If a reader still
 * holds all of it, no writer that overlaps it can go on. A starving one is looked at all the same:
 * the reader may be the one that it stands for (RANGE__UPGRADE), and if it covers [start, end), it
 * is the last to be looked at.
 */
static unsigned int kinds_to_wake(struct range__leaf *leaf, uint64_t start, uint64_t end)
{
	unsigned int asleep = KINDS_ALL & ~KINDS_WOKEN & ~KINDS_ASIDE;
	struct range__node *node = range__tree_first(leaf->held, start, end);
	const struct range__hold *held = node ? range__hold_of(node) : NULL;

	if (leaf->covers > 0 || (held && held->start <= start && end <= held->end))
		asleep &= ~KINDS_WRITING | KINDS_STARVING;
	return asleep;
}

/* Whether all waiters that overlap [start, end), and come after this one, are behind it. */
static bool is_cause_of_rest(const struct range__leaf *leaf, const struct range__hold *w,
			     uint64_t start, uint64_t end)
{
	return w->mode == RANGE_WRITE && w->start <= start && end <= w->end &&
	       (w->starving || (is_woken(w) && leaf->nr_starving == 0));
}

/* The waiters that wake_in_order() has put aside take part again. */
static void take_back_aside(struct range__leaf *leaf)
{
	struct range__hold *w;

	while ((w = range__waiters_earliest(leaf->waiters, KINDS_ASIDE & ~KINDS_WOKEN, 0,
					    UINT64_MAX, NULL)))
		change_kind(leaf, w, kind_of(w));
}

/* Looks at waiters of these kinds. */
static void wake_in_order(struct range__lock *lock, struct range__leaf *leaf, unsigned int kinds,
			  uint64_t start, uint64_t end, struct range__wakes *wakes)
{
	struct range__hold *w;
	bool aside = false;

	while ((w = range__waiters_earliest(leaf->waiters, kinds, start, end, NULL))) {
		bool wake = !range__leaf_blocks(lock, leaf, w) &&
			    (w->starving || !behind_woken(leaf, w));

		if (wake)
			wake_one(leaf, w, RANGE_WOKEN, wakes);
		if (is_cause_of_rest(leaf, w, start, end))
			break;
		if (!wake) {
			change_kind(leaf, w, kind_of(w) | WAITER_ASIDE);
			aside = true;
		}
	}
	if (aside)
		take_back_aside(leaf);
}

void range__leaf_wake(struct range__lock *lock, struct range__leaf *leaf, uint64_t start,
		      uint64_t end, struct range__wakes *wakes)
{
	struct range__hold *woken = NULL;

	/* All that overlap [start, end) may be behind one that is woken already. */
	if (leaf->nr_woken > 0 && leaf->nr_starving == 0)
		woken = range__waiters_earliest(leaf->waiters, KINDS_WOKEN & KINDS_WRITING, start,
						end, NULL);
	if (!woken || !is_cause_of_rest(leaf, woken, start, end))
		wake_in_order(lock, leaf, kinds_to_wake(leaf, start, end), start, end, wakes);
}

/* None of the causes (a) to (d) of a reader is another reader. */
void range__leaf_wake_writers(struct range__lock *lock, struct range__leaf *leaf, uint64_t start,
			      uint64_t end, struct range__wakes *wakes)
{
	wake_in_order(lock, leaf, kinds_to_wake(leaf, start, end) & KINDS_WRITING, start, end,
		      wakes);
}

/* A claim needs all leaves of the acquisition, and only the waiter's own thread may lock those. */
static void tell_to_claim(struct range__leaf *leaf, struct range__hold *range,
			  struct range__wakes *wakes)
{
	if (!is_woken(range)) {
		wake_one(leaf, range, RANGE_PROMOTED, wakes);
		return;
	}
	/* relaxed: as in wake_one() */
	atomic_store_explicit(&range->state, RANGE_PROMOTED, memory_order_relaxed);
	change_kind(leaf, range, kind_of(range));
}

/* An arrival may be later than the clock, see range__queue_arrive(). */
static bool has_waited(const struct range__hold *range, uint64_t now, uint64_t bound)
{
	return range->arrival <= now && now - range->arrival >= bound;
}

/* The earliest waiter that is neither starving nor about to claim, nor put aside. */
static struct range__hold *first_plain(struct range__leaf *leaf)
{
	return range__waiters_earliest(leaf->waiters, KINDS_ALL & ~KINDS_STARVING & ~KINDS_ASIDE, 0,
				       UINT64_MAX, NULL);
}

static struct range__hold *find_to_promote(struct range__lock *lock, struct range__leaf *leaf,
					   uint64_t now, uint64_t bound)
{
	struct range__hold *aside[PROMOTION_LOOKS], *w, *found = NULL;
	unsigned int n = 0;

	while (n < PROMOTION_LOOKS && (w = first_plain(leaf)) && has_waited(w, now, bound)) {
		if (!behind_starving(leaf, w) &&
		    (leaf->nr_claims == 0 || !range__claims_block(lock, leaf, w))) {
			found = w;
			break;
		}
		change_kind(leaf, w, kind_of(w) | WAITER_ASIDE);
		aside[n++] = w;
	}
	while (n > 0) {
		w = aside[--n];
		change_kind(leaf, w, kind_of(w));
	}
	return found;
}

struct range__hold *range__leaf_promote(struct range__lock *lock, struct range__leaf *leaf,
					uint64_t bound, struct range__wakes *wakes)
{
	struct range__hold *w = leaf->waiters ? first_plain(leaf) : NULL;
	uint64_t now;

	if (!w)
		return NULL;
	now = mmrange__now();
	if (now - leaf->fair_at < bound || !has_waited(w, now, bound))
		return NULL;
	/*
	 * Even if no waiter becomes starving: a release must not look through many starving ones
	 * each time.
	 */
	leaf->fair_at = now;
	w = find_to_promote(lock, leaf, now, bound);
	if (w && range__claim_needed(w)) {
		tell_to_claim(leaf, w, wakes);
		return NULL;
	}
	if (w)
		make_starving(leaf, w);
	return w;
}

/* Whether a waiter has a cause (see above), given that all earlier waiters have one. */
static bool has_cause(struct range__lock *lock, struct range__leaf *leaf,
		      const struct range__hold *range)
{
	return is_woken(range) || behind_woken(leaf, range) ||
	       range__leaf_blocks(lock, leaf, range);
}

static bool touches(struct range__leaf *leaf, const struct range__hold *range)
{
	return range->start < range->end &&
	       range__overlap(range, range__leaf_lo(leaf), range__leaf_hi(leaf));
}

static bool held_valid(struct range__leaf *leaf)
{
	struct range__node *node = range__tree_first(leaf->held, 0, UINT64_MAX);

	for (; node; node = range__tree_next(node, 0, UINT64_MAX)) {
		struct range__hold *range = range__hold_of(node);
		struct range__node *other = range__tree_first(leaf->held, range->start, range->end);

		if (!touches(leaf, range) || range__leaf_node(leaf, range) != node ||
		    (range->mode == RANGE_WRITE && leaf->covers > 0) ||
		    leaf->covers == RANGE__COVERS_WRITER)
			return false;
		for (; other; other = range__tree_next(other, range->start, range->end))
			if (other != node && range__conflict(range, range__hold_of(other)))
				return false;
	}
	return range__tree_valid(leaf->held);
}

static bool waiter_valid(struct range__lock *lock, struct range__leaf *leaf,
			 const struct range__hold *w)
{
	return w->in == leaf && touches(leaf, w) && w->place.kind == kind_of(w) &&
	       has_cause(lock, leaf, w);
}

bool range__leaf_valid(struct range__lock *lock, struct range__leaf *leaf)
{
	uint32_t woken = 0, starving = 0;
	struct range__hold *w = range__waiters_first(leaf->waiters);

	if (!held_valid(leaf) || leaf->biased || !range__claims_valid(lock, leaf) ||
	    !range__waiters_valid(leaf->waiters))
		return false;
	for (; w; w = range__waiters_next(leaf->waiters, w)) {
		if (!waiter_valid(lock, leaf, w))
			return false;
		woken += is_woken(w);
		starving += w->starving;
	}
	return leaf->nr_woken == woken && leaf->nr_starving == starving;
}
