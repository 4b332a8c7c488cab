/* SPDX-License-Identifier: MIT */
/*
 * reader - how a range comes into a slot, and out of it: see slots.h.
 */
#ifndef RANGE_LOCK_READER_H
#define RANGE_LOCK_READER_H

#include "slots.h"

/*
 * With the range's fields set, and leaf and stamp being leaves that it lies in, one or two, and their
 * words, BIASED: makes it held. False: there is no free slot, or a leaf has changed; nothing is held.
 */
bool range__reader_enter(struct range__lock *lock, struct range__hold *range);

/*
 * The range has been published, and then a leaf had changed: whether it is held all the same. If not, it
 * is in no slot.
 */
bool range__reader_recheck(struct range__lock *lock, struct range__hold *range);

/* The range's slot says LEAVING, and next frees it: looks at the leaves, and releases it in them. */
void range__reader_left(struct range__lock *lock, struct range__hold *range, uint64_t next);

/* Releases a range that is in a slot, for two leaves, or for one. */
void range__reader_leave_wide(struct range__lock *lock, struct range__hold *range);

static inline void range__reader_leave(struct range__lock *lock, struct range__hold *range)
{
	struct range__slot *slot = range->slot;
	uint64_t next = range__slot_leave(slot);

	mmrange__light_fence(); /* [L] */
	if (range__slot_undisturbed(range, 0))
		range__slot_free(slot, next);
	else
		range__reader_left(lock, range, next);
}

#endif
