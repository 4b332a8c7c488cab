/* SPDX-License-Identifier: MIT */
/*
 * index - from a key to the leaf that holds it: a sorted array of the leaves' lower bounds.
 *
 * It is changed under lock->mutex, and read by everybody at any time without a lock, while it
 * changes. So what a reader finds is a hint (R3): it is always a leaf of the lock, because the
 * memory of leaves is kept until the lock is destroyed, but maybe not the right one. Whoever locks
 * a leaf checks its bounds.
 *
 * Nothing in it is written while the leaves stay as they are, so that its lines are shared by all
 * cores.
 */
#ifndef RANGE_LOCK_INDEX_H
#define RANGE_LOCK_INDEX_H

#include "layout.h"

#include <stdatomic.h>

struct range__entry {
	_Atomic(uint64_t) lo;
	_Atomic(struct range__leaf *) leaf;
};

struct range__chunk;

struct range__forest {
	atomic_uint count; /* entries in use */
	uint32_t capacity; /* of the index */
	/* Under lock->mutex, see forest.c and adapt.c: */
	uint32_t sweep;              /* the entry that a sweep has come to */
	_Atomic(uint64_t) sweep_due; /* when the next sweep begins; read without the mutex, too */
	uint64_t spent;              /* how far the budget of changes has been spent */
	uint64_t calm;               /* for how long nothing was split, see adapt.c */
	uint64_t calm_until;
	_Atomic(struct range__chunk *) chunks; /* to be read after fork(), too: see forest.c */
	struct range__leaf *free;
	uint64_t splits;
	uint64_t merges;
	_Atomic(uint64_t) too_fine; /* where a leaf begins that is; 0: none that is known */
	_Alignas(64) struct range__entry entries[];
};

/* What follows is called under lock->mutex, which orders it: loads are relaxed. */

static inline struct range__forest *range__forest_of(struct range__lock *lock)
{
	return atomic_load_explicit(&lock->forest, memory_order_relaxed);
}

static inline uint32_t range__index_count(struct range__forest *forest)
{
	return atomic_load_explicit(&forest->count, memory_order_relaxed);
}

static inline struct range__leaf *range__index_leaf(struct range__forest *forest, uint32_t i)
{
	return atomic_load_explicit(&forest->entries[i].leaf, memory_order_relaxed);
}

static inline uint64_t range__index_lo(struct range__forest *forest, uint32_t i)
{
	return atomic_load_explicit(&forest->entries[i].lo, memory_order_relaxed);
}

/* The entry whose leaf holds key. O(log n). */
uint32_t range__index_search(struct range__forest *forest, uint64_t key);

/* Changes an entry. */
void range__index_set(struct range__forest *forest, uint32_t i, uint64_t lo,
		      struct range__leaf *leaf);

/* Puts entries for n leaves, a list in order, before the one at i. O(leaves). */
void range__index_insert(struct range__forest *forest, uint32_t i, struct range__leaf *leaf,
			 uint32_t n);

/* Takes n entries out, from i on. O(leaves). */
void range__index_remove(struct range__forest *forest, uint32_t i, uint32_t n);

/* Without the mutex: the leaf that holds key, or another one (R3). Never NULL. O(log n). */
static inline struct range__leaf *range__index_find(struct range__lock *lock, uint64_t key)
{
	/* acquire: pairs with the release in new_forest() */
	struct range__forest *forest = atomic_load_explicit(&lock->forest, memory_order_acquire);
	uint32_t base = 0, n;

	if (!forest)
		return &lock->root;
	/* acquire: pairs with the release in set_count(): no entry below count is empty */
	for (n = atomic_load_explicit(&forest->count, memory_order_acquire); n > 1; n -= n / 2) {
		uint32_t middle = base + n / 2;

		/* relaxed: a hint */
		if (atomic_load_explicit(&forest->entries[middle].lo, memory_order_relaxed) <= key)
			base = middle;
	}
	/* acquire: pairs with the release in range__index_set(): the leaf has been made */
	return atomic_load_explicit(&forest->entries[base].leaf, memory_order_acquire);
}

#endif
