/* SPDX-License-Identifier: MIT */
/*
 * wait_tree - the waiters of a leaf, in an AVL tree ordered by kind, start and arrival. The caller
 * serialises.
 *
 * A waiter's kind says whether it is starving, whether it writes, and whether it is woken. So the
 * waiters of one kind are neighbours, and a search for some kinds passes over all others. Each node
 * also has the greatest end and the bounds of the arrivals in its subtree. A search for the
 * earliest waiter that overlaps a range goes first where an early one may be, and leaves out every
 * subtree that can have no earlier one. It is O(log n), except where many waiters overlap the end
 * of the range without reaching into it.
 *
 * (Adelson-Velsky & Landis 1962; augmentation: Cormen et al., "Interval trees".)
 *
 * A tree is a root pointer, NULL when empty. While a waiter is in the tree, its start, end and
 * arrival do not change. To change its kind, the caller takes it out and puts it in again.
 */
#ifndef RANGE_LOCK_WAIT_TREE_H
#define RANGE_LOCK_WAIT_TREE_H

#include "layout.h"

/*
 * The bits of a kind. A waiter is ASIDE if it is asleep and the thread that wakes has looked at it
 * already, or if it is woken and is not to become starving.
 */
enum { WAITER_ASIDE = 1, WAITER_WOKEN = 2, WAITER_WRITES = 4, WAITER_STARVING = 8 };

/* Sets of kinds, as bits 0 to 15: the kinds that have a bit. */
#define KINDS_ASIDE    0xaaaau
#define KINDS_WOKEN    0xccccu
#define KINDS_WRITING  0xf0f0u
#define KINDS_STARVING 0xff00u
#define KINDS_ALL      0xffffu

static inline bool range__waiter_is(const struct range__hold *waiter, unsigned int bit)
{
	return waiter->place.kind & bit;
}

/* Before a range that is not held is compared with waiters. */
static inline void range__make_newcomer(struct range__hold *range)
{
	range->arrival = UINT64_MAX;
	range->marks = 0;
}

/*
 * Which acquisition a waiter belongs to: an address. That of a newcomer has no meaning, and is not
 * compared.
 */
static inline uintptr_t range__acquisition(const struct range__hold *range)
{
	if (!range__marked(range, RANGE__ASYNC))
		return (uintptr_t)range->set;
	return (uintptr_t)(range__marked(range, RANGE__OTHER) ? range->first : range);
}

/*
 * Whether a came before b. A newcomer has UINT64_MAX as its arrival. Clocks may tell two threads
 * the same time. Then all ranges of one acquisition come before all of the other, because otherwise
 * two acquisitions of several ranges could wait for each other.
 */
static inline bool range__earlier(const struct range__hold *a, const struct range__hold *b)
{
	return a->arrival < b->arrival ||
	       (a->arrival == b->arrival && range__acquisition(a) < range__acquisition(b));
}

/* Puts a waiter in, as one of this kind, and takes it out. O(log n). */
void range__waiters_insert(struct range__hold **root, struct range__hold *waiter,
			   unsigned int kind);
void range__waiters_erase(struct range__hold **root, struct range__hold *waiter);

/*
 * The first waiter of these kinds that overlaps [start, end), or the last, by range__earlier();
 * NULL: there is none. If before is not NULL, only those count that came before it.
 */
struct range__hold *range__waiters_earliest(struct range__hold *root, unsigned int kinds,
					    uint64_t start, uint64_t end,
					    const struct range__hold *before);
struct range__hold *range__waiters_latest(struct range__hold *root, unsigned int kinds,
					  uint64_t start, uint64_t end,
					  const struct range__hold *before);

/* The latest arrival in a tree that is not empty. */
static inline uint64_t range__waiters_last_arrival(const struct range__hold *root)
{
	return root->place.max_arrival;
}

/* The first waiter in the order of the tree, and the next; NULL at the end. O(log n) each. */
struct range__hold *range__waiters_first(struct range__hold *root);
struct range__hold *range__waiters_next(struct range__hold *root, const struct range__hold *waiter);

/* Whether a waiter waits with the caller's storage range. */
static inline bool range__waits_with(const struct range__hold *waiter,
				     const struct range__hold *range)
{
	return (range__marked(waiter, RANGE__UPGRADE) ? waiter->upgrades : waiter) == range;
}

/* The waiter in the tree that waits with range, which may be any address; or NULL. O(n). */
struct range__hold *range__waiters_with(struct range__hold *root, const struct range__hold *range);

/* Whether order, balance and augmentation are right. O(n); for tests. */
bool range__waiters_valid(const struct range__hold *root);

#endif
