/* SPDX-License-Identifier: MIT */
/*
 * forest - the leaves of a lock: their memory, and how the one that a range belongs to is found.
 *
 * A lock starts as one leaf, lock->root. The first split replaces it by leaves of the forest, and
 * it stays unused from then on, so that the lines of struct range__lock are not written any more.
 *
 * Invariants:
 *
 *	R2  the index changes only under lock->mutex, bounds only under it and the leaf's lock
 *	R3  the index is a hint, see index.h
 *
 * Lock order: lock->mutex, then leaves by ascending bounds. Under lock->mutex, a leaf that covers
 * nothing may be locked before others or after them: a thread that locks it without the mutex, by a
 * stale hint, unlocks it before it waits for another one. No thread waits for lock->mutex with a leaf
 * locked.
 */
#ifndef RANGE_LOCK_FOREST_H
#define RANGE_LOCK_FOREST_H

#include "index.h"
#include "leaf.h"

/*
 * Locks the leaf that holds key. hint is where to look first, and may be any leaf of the lock, or NULL.
 * The calling thread has no other leaf locked.
 *
 * What stays in the lock is in the leaf that holds its start (R1), and moves to another one only while
 * both are locked. So a walk that goes on at the upper bound of each leaf, from key 0 to UINT64_MAX,
 * comes to each start once, and finds there what stays, whatever splits and merges come in between.
 */
struct range__leaf *range__forest_lock_key(struct range__lock *lock, uint64_t key,
					   struct range__leaf *hint);

/* Under lock->mutex: the forest, made of lock->root if there is none yet; NULL without memory. */
struct range__forest *range__forest_get(struct range__lock *lock);

/* Under lock->mutex: a leaf that covers nothing; NULL without memory. */
struct range__leaf *range__forest_new_leaf(struct range__lock *lock, struct range__forest *forest);

/* Under lock->mutex: gives back a leaf that covers nothing. It stays a leaf (R3). */
void range__forest_free_leaf(struct range__forest *forest, struct range__leaf *leaf);

/* Under lock->mutex: the leaves in the order of their keys, i from 0 on; NULL after the last. */
struct range__leaf *range__forest_leaf(struct range__lock *lock, uint32_t i);

/* EBUSY if something is held or waits; otherwise frees everything and returns 0. */
int range__forest_destroy(struct range__lock *lock);

/*
 * Frees everything, and leaves the pointer to it dangling. Relies on nothing that another thread
 * may have been changing under a lock: it serves the child of fork() as well.
 */
void range__forest_free(struct range__lock *lock);

void range__forest_stats(struct range__lock *lock, struct range_lock_stats *stats);

/* Whether every leaf and the index are as they must be. At any time; for tests. */
bool range__forest_valid(struct range__lock *lock);

#endif
