/* SPDX-License-Identifier: MIT */
/*
 * index - from a key to the leaf that owns it: a sorted array of the leaves' lower bounds.
 *
 * Threads change the index under lock->mutex, and read it at any time without a lock, while it
 * changes. A reader therefore finds a hint (FOREST-R3): always a leaf of the lock (LEAF-R3), but
 * maybe not the right one. A thread that locks a leaf checks its bounds.
 *
 * No thread writes to the index while the leaves stay as they are, so all cores share its lines.
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
	/* Under lock->mutex, see adapt.c: */
	uint32_t sweep;              /* the entry at which the sweep goes on */
	_Atomic(uint64_t) sweep_due; /* when the next sweep begins */
	uint64_t spent;              /* how far the budget of changes has been spent, as a time */
	uint64_t calm; /* for how long the lock splits nothing after a leaf was too fine */
	uint64_t calm_until;
	_Atomic(struct range__chunk *) chunks; /* see leaf_store.c */
	struct range__leaf *free;
	uint64_t splits;
	uint64_t merges;
	_Atomic(uint64_t) too_fine; /* where a leaf begins that is too fine; 0: none known */
	_Alignas(64) struct range__entry entries[];
};

/* The functions that follow are called under lock->mutex, so their loads are relaxed. */

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

/* The entry whose leaf owns key. O(log n). */
uint32_t range__index_search(struct range__forest *forest, uint64_t key);

/* Changes an entry. */
void range__index_set(struct range__forest *forest, uint32_t i, uint64_t lo,
		      struct range__leaf *leaf);

/* Inserts entries for n leaves, a list in order, before entry i. O(leaves). */
void range__index_insert(struct range__forest *forest, uint32_t i, struct range__leaf *leaf,
			 uint32_t n);

/* Removes n entries from entry i on. O(leaves). */
void range__index_remove(struct range__forest *forest, uint32_t i, uint32_t n);

/* Without the mutex: the leaf that owns key, or another one (FOREST-R3). Never NULL. O(log n). */
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
