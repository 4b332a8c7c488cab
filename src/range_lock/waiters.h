/* SPDX-License-Identifier: MIT */
/*
 * waiters - the queue of a leaf: which acquisitions have to wait in it, and which of them a release
 * wakes. See waiters.c for why no wake-up is lost.
 */
#ifndef RANGE_LOCK_WAITERS_H
#define RANGE_LOCK_WAITERS_H

#include "leaf.h"
#include "wait_tree.h"

/*
 * With the leaf locked, which the range overlaps: whether a waiter or newcomer has to wait in it.
 */
bool range__leaf_blocks(struct range__lock *lock, struct range__leaf *leaf,
			const struct range__hold *range);

/*
 * With the leaf locked: whether a range held for reading may become a writer's in this leaf. No
 * other held range may overlap it, and no starving reader may wait for a part of it. Writers that
 * wait for it lose nothing.
 */
bool range__leaf_upgradable(struct range__lock *lock, struct range__leaf *leaf,
			    const struct range__hold *range);

/* With the leaf locked: puts a waiter into the queue, by its arrival. */
void range__leaf_enqueue(struct range__leaf *leaf, struct range__hold *range);

/* With the leaf locked: takes a waiter out of the queue. */
void range__leaf_dequeue(struct range__leaf *leaf, struct range__hold *range);

/*
 * With both leaves locked: moves a waiter from one queue to the other. At any moment it is in a
 * queue, for a thread that has only another leaf of its acquisition locked (request.h).
 */
void range__leaf_move(struct range__leaf *from, struct range__leaf *to, struct range__hold *range);

/*
 * With the leaf locked: whether others may wait for a waiter of the queue, as in the causes (b) to
 * (d) of waiters.c.
 */
bool range__leaf_holds_back(const struct range__hold *range);

/* With the leaf locked: a woken waiter of the queue waits again. */
void range__leaf_wait_again(struct range__leaf *leaf, struct range__hold *range);

/*
 * With the leaf locked, after a range [start, end) was released or stopped holding waiters back:
 * wakes, in the order of arrival, the waiters that overlap it and need not wait any longer.
 */
void range__leaf_wake(struct range__lock *lock, struct range__leaf *leaf, uint64_t start,
		      uint64_t end, struct range__wakes *wakes);

/* The same after a reader was released or stopped holding waiters back: it made way for writers. */
void range__leaf_wake_writers(struct range__lock *lock, struct range__leaf *leaf, uint64_t start,
			      uint64_t end, struct range__wakes *wakes);

/*
 * With the leaf locked, after a release or after a newcomer passed a waiter: makes one waiter
 * starving if the last promotion in this leaf was bound nanoseconds ago. It is the first waiter
 * that is not starving, is not behind a starving waiter, and has waited for bound nanoseconds. The
 * released range does not matter; only so does no waiter become starving before an earlier one.
 * Returns the waiter, or NULL. A waiter that does not lie in this leaf alone is woken instead, to
 * make a claim: see claim.h.
 */
struct range__hold *range__leaf_promote(struct range__lock *lock, struct range__leaf *leaf,
					uint64_t bound, struct range__wakes *wakes);

/* With the leaf locked: whether every invariant holds in it. For tests and the checked build. */
bool range__leaf_valid(struct range__lock *lock, struct range__leaf *leaf);

#endif
