/* SPDX-License-Identifier: MIT */
/*
 * find - which leaf of a lock owns a key, and which is the n-th.
 */
#ifndef RANGE_LOCK_FIND_H
#define RANGE_LOCK_FIND_H

#include "index.h"
#include "leaf.h"

/*
 * Locks the leaf that owns key. hint is where to look first, and may be any leaf of the lock, or
 * NULL. The calling thread has no other leaf locked.
 *
 * A range stays recorded in the leaf that owns its start (LEAF-R1), and moves to another leaf only
 * while both are locked. A walk that goes on at the upper bound of each leaf, from key 0 to
 * UINT64_MAX, therefore comes to each start once, and finds each range that stays, whatever leaves
 * split and merge in between.
 */
struct range__leaf *range__find_and_lock(struct range__lock *lock, uint64_t key,
					 struct range__leaf *hint);

/*
 * Under lock->mutex: how many leaves there are, and the leaves in the order of their keys; NULL
 * after the last.
 */
uint32_t range__nr_leaves(struct range__lock *lock);
struct range__leaf *range__find_nth(struct range__lock *lock, uint32_t i);

#endif
