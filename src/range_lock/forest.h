/* SPDX-License-Identifier: MIT */
/*
 * forest - the leaves of a lock: their memory, and how the one that a range belongs to is found.
 *
 * A lock starts as one leaf, lock->root. The first split replaces it by leaves of the forest, and
 * it stays unused from then on, so that the lines of struct range_lock are not written any more.
 *
 * Invariants:
 *
 *	R2  the index changes only under lock->mutex, bounds only under it and the leaf's lock
 *	R3  the index is a hint, see index.h
 *
 * Lock order: lock->mutex, then leaves by ascending bounds. Under lock->mutex, a leaf that covers
 * nothing may be locked before others or after them: whoever locks it without the mutex, by a stale
 * hint, lets go of it before he locks another. Nobody waits for lock->mutex with a leaf locked.
 */
#ifndef RANGE_LOCK_FOREST_H
#define RANGE_LOCK_FOREST_H

#include "index.h"
#include "leaf.h"

/*
 * Locks the leaf that holds [range->start, range->end), merging leaves if there are several. hint
 * is where to look first, and may be any leaf of the lock, or NULL. With try, a range that would
 * have to wait merges nothing: then the result is NULL.
 */
struct range__leaf *range__forest_lock(struct range_lock *lock, const struct range_hold *range,
				       struct range__leaf *hint, bool try);

/*
 * The same for a reader, which is about to be held, or is held: a leaf that is biased stays so.
 * Only if there are several they are merged.
 */
struct range__leaf *range__forest_lock_reader(struct range_lock *lock,
					      const struct range_hold *range,
					      struct range__leaf *hint, bool try);

/*
 * The leaf that holds a range which was published in a slot, locked as by
 * range__leaf_lock_reader(); NULL: there are several, so that it has not been adopted yet.
 */
struct range__leaf *range__forest_lock_published(struct range_lock *lock,
						 const struct range_hold *range);

/*
 * The leaf that holds key, locked by lock_leaf(), for a walk through the lock. What stays in the
 * lock is in the leaf that holds its start (R1), and moves to another one only while both are
 * locked. So a walk that goes on at the upper bound of each leaf, from key 0 to UINT64_MAX, comes to
 * each start once, and finds there what stays, whatever splits and merges come in between.
 */
struct range__leaf *range__forest_lock_key(struct range_lock *lock, uint64_t key,
					   void (*lock_leaf)(struct range__leaf *leaf));

/*
 * Locks the leaf of a range that is held, if that can be extended to [start, end), which contains
 * it, merging leaves as above. NULL: it would have to wait; then nothing has changed.
 */
struct range__leaf *range__forest_lock_extension(struct range_lock *lock,
						 const struct range_hold *range, uint64_t start,
						 uint64_t end);

/* Under lock->mutex: the forest, made of lock->root if there is none yet; NULL without memory. */
struct range__forest *range__forest_get(struct range_lock *lock);

/* Under lock->mutex: a leaf that covers nothing; NULL without memory. */
struct range__leaf *range__forest_new_leaf(struct range_lock *lock, struct range__forest *forest);

/* Under lock->mutex: gives back a leaf that covers nothing. It stays a leaf (R3). */
void range__forest_free_leaf(struct range__forest *forest, struct range__leaf *leaf);

/* Under lock->mutex: the leaves in the order of their keys, i from 0 on; NULL after the last. */
struct range__leaf *range__forest_leaf(struct range_lock *lock, uint32_t i);

/* EBUSY if something is held or waits; otherwise frees everything and returns 0. */
int range__forest_destroy(struct range_lock *lock);

/* Whether a leaf belongs to the lock. When nobody allocates; O(leaves). */
bool range__forest_owns(const struct range_lock *lock, const struct range__leaf *leaf);

/*
 * Frees everything, and leaves the pointer to it dangling. Relies on nothing that another thread
 * may have been changing under a lock: it serves the child of fork() as well.
 */
void range__forest_free(struct range_lock *lock);

void range__forest_stats(struct range_lock *lock, struct range_lock_stats *stats);

/* Whether every leaf and the index are as they must be. At any time; for tests. */
bool range__forest_valid(struct range_lock *lock);

#endif
