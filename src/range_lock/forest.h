/* SPDX-License-Identifier: MIT */
/*
 * forest - the leaves of a lock, and the index that finds them.
 *
 * A lock starts as one leaf, lock->root. The first split replaces it by two of the forest, and it
 *stays unused from then on: so the lines of struct range_lock are not written any more.
 *
 * Leaves are split where threads collide although their ranges do not overlap: a leaf remembers its
 *last owner and that one's range, and counts how often it migrates from a thread to another whose
 *range is disjoint. They are merged when a range spans several (R1), and when a leaf has gone cold:
 *one that nobody has used between two visits of a sweep, which goes on by a few leaves with each
 *split, and starts again a second after its last start at the earliest. Hysteresis: a leaf that
 *came out of a merge waits for more migrations before it is split, and for fewer again after each
 *split that lasts.
 *
 * (Contention-adapting search trees: Sagonas & Winblad, ISPDC 2015.)
 *
 * Invariants:
 *	R2	bounds and index change only under lock->mutex, bounds in addition only under the
 *leaf's lock
 *	R3	the index is a hint: it is read without any lock, while it changes. Leaves are never
 *freed before the lock is destroyed, so whatever the index says is a leaf; whoever locks it checks
 *its bounds Lock order: lock->mutex, then leaves by ascending bounds.
 */
#ifndef RANGE_LOCK_FOREST_H
#define RANGE_LOCK_FOREST_H

#include "leaf.h"

struct range__forest_entry {
	_Atomic(uint64_t) lo;
	_Atomic(struct range__leaf *) leaf;
};

struct range__chunk;

/* Read by everybody on each operation; nothing in it is written while the leaves stay as they are.
 */
struct range__forest {
	atomic_uint count;
	uint32_t capacity;
	/* Under lock->mutex: */
	uint32_t sweep; /* the entry that the sweep has come to */
	uint64_t swept_at;
	struct range__chunk *chunks;
	struct range__leaf *free;
	uint64_t splits;
	uint64_t merges;
	_Alignas(64) struct range__forest_entry entries[];
};

/* The leaf that holds key, or held it a moment ago: a hint (R3). Never NULL. */
static inline struct range__leaf *range__forest_find(struct range_lock *lock, uint64_t key)
{
	/* acquire: pairs with the release in publish() */
	struct range__forest *forest = atomic_load_explicit(&lock->forest, memory_order_acquire);
	uint32_t base = 0, n;

	if (!forest)
		return &lock->root;
	/* acquire: pairs with the releases in index_insert() and index_remove(): below count,
	 * leaves are not NULL */
	for (n = atomic_load_explicit(&forest->count, memory_order_acquire); n > 1; n -= n / 2) {
		uint32_t middle = base + n / 2;

		/* relaxed: a hint */
		if (atomic_load_explicit(&forest->entries[middle].lo, memory_order_relaxed) <= key)
			base = middle;
	}
	/* acquire: pairs with the release in set_entry(): the leaf has been made */
	return atomic_load_explicit(&forest->entries[base].leaf, memory_order_acquire);
}

/*
 * Locks the leaf that holds [range->start, range->end), merging leaves if there are several. hint
 * is where to look first, and may be any leaf of the lock, or NULL.
 */
struct range__leaf *range__forest_lock(struct range_lock *lock, const struct range *range,
				       struct range__leaf *hint);

/* After range, which is held, was acquired in leaf: notes whose the leaf is now, and splits it if
 * that pays. */
void range__forest_note(struct range_lock *lock, struct range__leaf *leaf,
			const struct range *range);

/* EBUSY if something is held or waits; otherwise frees everything and returns 0. */
int range__forest_destroy(struct range_lock *lock);

void range__forest_stats(struct range_lock *lock, struct range_lock_stats *stats);

/* Whether every leaf and the index are as they must be. At any time; for tests and the checked
 * build. */
bool range__forest_valid(struct range_lock *lock);

#endif
