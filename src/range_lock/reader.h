/* SPDX-License-Identifier: MIT */
/*
 * reader - how a range comes into a slot, and out of it: see slots.h.
 */
#ifndef RANGE_LOCK_READER_H
#define RANGE_LOCK_READER_H

#include "slots.h"

/*
 * With the range's fields set, and word being the leaf's, BIASED, with bounds that cover it: makes
 * the range held. False: there is no free slot, or the leaf has changed; nothing is held.
 */
bool range__reader_enter(struct range_lock *lock, struct range__leaf *leaf,
			 struct range_hold *range, uint64_t word);

/* Releases a range whose stamp is a BIASED word. */
void range__reader_leave(struct range_lock *lock, struct range_hold *range);

#endif
