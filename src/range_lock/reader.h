/* SPDX-License-Identifier: MIT */
/*
 * reader - how a range enters a slot and leaves it: see slots.h.
 */
#ifndef RANGE_LOCK_READER_H
#define RANGE_LOCK_READER_H

#include "slots.h"

/*
 * For a range whose fields are set, with one or two leaves that it lies in and their words, which
 * were BIASED: makes it held. False: the thread has no free slot, or a leaf has changed; nothing is
 * held.
 */
bool range__reader_enter(struct range__lock *lock, struct range__hold *range);

/*
 * The same for several ranges whose bounds and modes are set, all of them or none. False: they have
 * a writer, a leaf that is not biased, a range that spans leaves, or more ranges than the thread
 * has free slots; or a leaf has changed. Nothing is held.
 */
bool range__reader_enter_all(struct range__set *set);

/*
 * The range has been published, and then a leaf had changed: whether the range is held all the
 * same. If not, it is in no slot.
 */
bool range__reader_recheck(struct range__lock *lock, struct range__hold *range);

/*
 * The range's slot is LEAVING, and the state next frees it: releases the range in its leaves, if it
 * was adopted there, and frees the slot.
 */
void range__reader_left(struct range__lock *lock, struct range__hold *range, uint64_t next);

/* Releases a range that is in a slot: one of two leaves, or one of one leaf. */
void range__reader_leave_wide(struct range__lock *lock, struct range__hold *range);

static inline void range__reader_leave(struct range__lock *lock, struct range__hold *range)
{
	struct range__slot *slot = range->slot;
	uint64_t next = range__slot_leave(slot);

	mmrange__light_fence(); /* [SLOT-L] */
	if (range__slot_undisturbed(range, 0))
		range__slot_free(slot, next);
	else
		range__reader_left(lock, range, next);
}

#endif
