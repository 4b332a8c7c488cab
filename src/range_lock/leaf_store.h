/* SPDX-License-Identifier: MIT */
/*
 * leaf_store - the memory of the forest and of its leaves. It comes from the lock's memory hooks,
 * leaves in chunks of a page, and stays the lock's until the lock is destroyed. A stale pointer to
 * a leaf therefore always points to some leaf (LEAF-R3).
 *
 * All of it is called under lock->mutex, but for range__store_visit() and, in the child of fork(),
 * range__store_free().
 */
#ifndef RANGE_LOCK_LEAF_STORE_H
#define RANGE_LOCK_LEAF_STORE_H

#include "index.h"
#include "leaf.h"

/*
 * Memory for a forest with an index of this capacity, and for its first leaves. Sets the fields
 * that concern leaves that are not used, and capacity. NULL without memory.
 */
struct range__forest *range__store_create(struct range__lock *lock, uint32_t capacity);

/* A leaf that owns no keys; NULL without memory. */
struct range__leaf *range__store_take(struct range__lock *lock, struct range__forest *forest);

/* Takes back a leaf that owns no keys. Its memory stays a leaf. */
void range__store_give(struct range__forest *forest, struct range__leaf *leaf);

/*
 * Frees the forest and all leaves, and leaves the pointer to it dangling. It relies on nothing that
 * another thread may have been changing under a lock, so it serves the child of fork() as well.
 */
void range__store_free(struct range__lock *lock);

/* Calls visit for all leaves of the forest, used or not. */
void range__store_visit(struct range__forest *forest,
			void (*visit)(const struct range__leaf *leaf, void *arg), void *arg);

#endif
