/* SPDX-License-Identifier: MIT */
/*
 * Waiting is barging with bounded bypass. A newcomer waits for held ranges that conflict, and for
 * conflicting waiters that are starving. A release wakes waiters and does not hand over to them: a
 * woken waiter looks again, and may find that a newcomer was faster. While a waiter is WOKEN, no
 * other waiter that conflicts with it is woken (the designated waker of nsync and of Go's
 * sync.Mutex). One waiter per leaf and time becomes starving (eventual fairness, as in
 * parking_lot), because each fair hand-over costs a context switch. FIFO is the case in which every
 * waiter is starving from the start.
 *
 * No wake-up is lost. Whenever a leaf is unlocked, each WAITING range in its queue has a cause,
 * which ends with a call of range__leaf_wake() in this leaf, over a range that overlaps the waiter:
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

static bool is_woken(const struct range__hold *range)
{
	/* relaxed: under the leaf's lock */
	return atomic_load_explicit(&range->state, memory_order_relaxed) == RANGE_WOKEN;
}

/* Whether a starving waiter that came before range conflicts with it. */
static bool behind_starving(const struct range__leaf *leaf, const struct range__hold *range)
{
	struct range__hold *w = leaf->nr_starving > 0 ? leaf->waiters : NULL;

	for (; w && range__earlier(w, range); w = range__leaf_next(leaf, w))
		if (w->starving && range__conflict(w, range))
			return true;
	return false;
}

static bool behind_woken(const struct range__leaf *leaf, const struct range__hold *range)
{
	unsigned int left = leaf->nr_woken;

	for (struct range__hold *w = leaf->waiters; w && left > 0; w = range__leaf_next(leaf, w)) {
		if (!is_woken(w))
			continue;
		left--;
		if (range__conflict(w, range))
			return true;
	}
	return false;
}

bool range__leaf_blocks(struct range__lock *lock, struct range__leaf *leaf,
			const struct range__hold *range)
{
	return range__leaf_holds_conflict(leaf, range) || behind_starving(leaf, range) ||
	       (leaf->nr_claims > 0 && range__claims_block(lock, leaf, range));
}

static bool covered_by_other(const struct range__leaf *leaf, bool itself)
{
	return leaf->covers > (itself ? 1 : 0);
}

bool range__leaf_upgradable(struct range__lock *lock, struct range__leaf *leaf,
			    const struct range__hold *range)
{
	struct range__hold *w = leaf->waiters;
	struct range__node *node = range__tree_first(leaf->held, range->start, range->end);
	bool spanned = range->start < range__leaf_lo(leaf) && range__leaf_hi(leaf) < range->end;

	if (covered_by_other(leaf, spanned))
		return false;
	for (; node; node = range__tree_next(node, range->start, range->end))
		if (range__hold_of(node) != range)
			return false;
	for (; w; w = range__leaf_next(leaf, w))
		if (w->starving && w->mode == RANGE_READ &&
		    range__overlap(w, range->start, range->end))
			return false;
	return leaf->nr_claims == 0 || !range__claims_read(lock, leaf, range);
}

/*
 * Does not write the state: a waiter that saw WAITING for a moment could fall asleep after its
 * wake-up.
 */
void range__leaf_enqueue(struct range__leaf *leaf, struct range__hold *range)
{
	struct range__hold *first = leaf->waiters, *after = first ? first->prev : NULL;

	while (after && after != first && range__earlier(range, after))
		after = after->prev;
	atomic_store_explicit(&range->in, leaf, memory_order_relaxed);
	leaf->nr_starving += range->starving;
	leaf->nr_woken += is_woken(range);
	if (!first) {
		range->next = range->prev = leaf->waiters = range;
		return;
	}
	if (after == first && range__earlier(range, first)) {
		after = first->prev;
		leaf->waiters = range;
	}
	range->prev = after;
	range->next = after->next;
	after->next->prev = range;
	after->next = range;
}

void range__leaf_dequeue(struct range__leaf *leaf, struct range__hold *range)
{
	if (range->next == range)
		leaf->waiters = NULL;
	else if (leaf->waiters == range)
		leaf->waiters = range->next;
	range->prev->next = range->next;
	range->next->prev = range->prev;
	atomic_store_explicit(&range->in, NULL, memory_order_relaxed);
	leaf->nr_starving -= range->starving;
	leaf->nr_woken -= is_woken(range);
}

void range__leaf_wait_again(struct range__leaf *leaf, struct range__hold *range)
{
	if (is_woken(range)) {
		leaf->nr_woken--;
		atomic_store_explicit(&range->state, RANGE_WAITING, memory_order_relaxed);
	}
}

/* With the leaf locked: a waiter of the queue that lies in this leaf alone becomes starving. */
static void make_starving(struct range__leaf *leaf, struct range__hold *range)
{
	range->starving = 1;
	leaf->nr_starving++;
}

static void wake_one(struct range__leaf *leaf, struct range__hold *range,
		     struct range__wakes *wakes)
{
	leaf->nr_woken++;
	/* relaxed: the waiter locks the leaf before it looks at anything else */
	atomic_store_explicit(&range->state, RANGE_WOKEN, memory_order_relaxed);
	if (wakes->n < sizeof wakes->state / sizeof wakes->state[0])
		wakes->state[wakes->n++] = &range->state;
	else
		mmrange__unpark(&range->state, false);
}

void range__leaf_wake(struct range__lock *lock, struct range__leaf *leaf, uint64_t start,
		      uint64_t end, struct range__wakes *wakes)
{
	for (struct range__hold *w = leaf->waiters; w; w = range__leaf_next(leaf, w)) {
		if (!range__overlap(w, start, end))
			continue;
		if (!is_woken(w) && !range__leaf_blocks(lock, leaf, w) &&
		    (w->starving || !behind_woken(leaf, w)))
			wake_one(leaf, w, wakes);
		/*
		 * All waiters that follow and overlap [start, end) conflict with this one: it is
		 * their cause.
		 */
		if (w->mode == RANGE_WRITE && w->start <= start && end <= w->end &&
		    (w->starving || (is_woken(w) && leaf->nr_starving == 0)))
			return;
	}
}

/* A claim needs all leaves of the acquisition, and only the waiter's own thread may lock those. */
static void tell_to_claim(struct range__leaf *leaf, struct range__hold *range,
			  struct range__wakes *wakes)
{
	range->promoted = 1;
	if (!is_woken(range))
		wake_one(leaf, range, wakes);
}

/* An arrival may be later than the clock, see range__queue_arrive(). */
static bool has_waited(const struct range__hold *range, uint64_t now, uint64_t bound)
{
	return range->arrival <= now && now - range->arrival >= bound;
}

struct range__hold *range__leaf_promote(struct range__lock *lock, struct range__leaf *leaf,
					uint64_t bound, struct range__wakes *wakes)
{
	struct range__hold *w = leaf->waiters;
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
	/*
	 * The queue is in the order of arrival: after a waiter that has not waited long enough,
	 * none has.
	 */
	for (; w && has_waited(w, now, bound); w = range__leaf_next(leaf, w)) {
		if (w->starving || w->promoted || behind_starving(leaf, w) ||
		    (leaf->nr_claims > 0 && range__claims_block(lock, leaf, w)))
			continue;
		if (range__claim_needed(w)) {
			tell_to_claim(leaf, w, wakes);
			return NULL;
		}
		make_starving(leaf, w);
		return w;
	}
	return NULL;
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

bool range__leaf_valid(struct range__lock *lock, struct range__leaf *leaf)
{
	uint32_t woken = 0, starving = 0;
	struct range__hold *prev = leaf->waiters ? leaf->waiters->prev : NULL;

	if (!held_valid(leaf) || leaf->biased || !range__claims_valid(lock, leaf))
		return false;
	for (struct range__hold *w = leaf->waiters; w; prev = w, w = range__leaf_next(leaf, w)) {
		if (w->prev != prev || w->in != leaf || !touches(leaf, w) ||
		    (w != leaf->waiters && range__earlier(w, prev)) || !has_cause(lock, leaf, w))
			return false;
		woken += is_woken(w);
		starving += w->starving;
	}
	return leaf->nr_woken == woken && leaf->nr_starving == starving &&
	       prev == (leaf->waiters ? leaf->waiters->prev : NULL);
}
