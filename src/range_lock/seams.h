/* SPDX-License-Identifier: MIT */
/*
 * seams - where leaves that were merged for a range come apart again.
 *
 * When a range spans leaves, the first of them absorbs the others (R1). Those that are worth it are
 * kept in a list of the first, its seams: each is a leaf that covers nothing, and its bounds say
 * where it began. When nothing crosses a seam any more, the leaf is split there again, into the one
 * that was kept: all at once, without memory (R4) and without waiting until threads collide.
 *
 * Which are worth it is for adapt.c to say; the others are free leaves then.
 *
 * Invariants:
 *
 *	S1  the seams of a leaf are in order, and lie inside its bounds, neither at lo nor at hi
 *	S2  what is in the list of seams is not in the index, is vacant, and has no seams itself
 *	S3  the list changes under lock->mutex and the lock of the leaf that has it
 *	S4  the word of a leaf that has seams is TREE, BIASED or LOCKED: whatever is released there,
 *	    but by readers in slots, is so under the leaf's lock, and looks whether seams can come
 *	    apart
 *
 * By S4 seams come apart as soon as nothing crosses them, but where lock->mutex is taken: nobody
 * may wait for that with a leaf locked. Then it is for the next who releases something there, or
 * who would split the leaf; as it is in a leaf that is biased, whose readers do not miss them, and
 * when a waiter that crossed a seam is canceled.
 */
#ifndef RANGE_LOCK_SEAMS_H
#define RANGE_LOCK_SEAMS_H

#include "forest.h"

/*
 * Under lock->mutex: merges the leaves of the n entries after i, all locked, into that of i, and
 * unlocks them.
 */
void range__seams_merge(struct range__forest *forest, uint32_t i, uint32_t n);

/*
 * Under lock->mutex, with the leaf of entry i locked: splits it at all seams that nothing crosses.
 * It stays locked, its new neighbours do not. Returns how many those are.
 */
uint32_t range__seams_restore(struct range__forest *forest, uint32_t i);

/* With the leaf locked, after [start, end) was released in it: restores its seams, see above. */
void range__seams_released(struct range_lock *lock, struct range__leaf *leaf, uint64_t start,
			   uint64_t end);

/* With both leaves locked: moves the seams above point to right, which has none. */
void range__seams_split(struct range__leaf *leaf, uint64_t point, struct range__leaf *right);

/*
 * Under lock->mutex, with the leaf locked: whether its seams are as they must be; adds to *n how
 * many there are. For tests.
 */
bool range__seams_valid(struct range__leaf *leaf, uint32_t *n);

#endif
