/* SPDX-License-Identifier: MIT */
/*
 * record - takes a held range out of its leaves, and records it again in what is locked: how a
 * range changes while it is held.
 */
#ifndef RANGE_LOCK_RECORD_H
#define RANGE_LOCK_RECORD_H

#include "set.h"

/* With all leaves of the set locked, to which those of the range belong; it is in no slot. */
void range__erase(const struct range__set *set, struct range__hold *range);
void range__record(const struct range__set *set, struct range__hold *range);

/* The same: makes a reader a writer, or a writer a reader. */
void range__change_mode(const struct range__set *set, struct range__hold *range,
			enum range_mode mode);

#endif
