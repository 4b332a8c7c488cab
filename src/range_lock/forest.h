/* SPDX-License-Identifier: MIT */
/*
 * forest - all leaves of a lock: how they come about, and how they end.
 *
 * A lock starts as one leaf, lock->root. The first split replaces the root by leaves of the forest.
 * The root stays unused from then on, so that no thread writes the lines of struct range__lock any
 * more.
 *
 * Invariants:
 *
 *	FOREST-R2  the index changes only under lock->mutex, bounds only under it and the leaf's
 *	           lock
 *	FOREST-R3  the index is a hint, see index.h
 *
 * Lock order: lock->mutex, then leaves by ascending bounds. Under lock->mutex, a thread may lock a
 * leaf that owns no keys before other leaves or after them: a thread that locks such a leaf without
 * the mutex, by a stale hint, unlocks it before it waits for another leaf. No thread waits for
 * lock->mutex with a leaf locked.
 */
#ifndef RANGE_LOCK_FOREST_H
#define RANGE_LOCK_FOREST_H

#include "index.h"

/*
 * Nanoseconds between two sweeps of adapt.c: more than it takes until each of many threads has had
 * its turn on a core.
 */
#define RANGE__SWEEP_INTERVAL UINT64_C(1000000000)

/* Under lock->mutex: the forest, made of lock->root if there is none yet; NULL without memory. */
struct range__forest *range__forest_get(struct range__lock *lock);

/* EBUSY if a range is held or waits; otherwise frees everything and returns 0. */
int range__forest_destroy(struct range__lock *lock);

void range__forest_stats(struct range__lock *lock, struct range_lock_stats *stats);

/* Whether every leaf and the index are as they must be. At any time; for tests. */
bool range__forest_valid(struct range__lock *lock);

#endif
