/* SPDX-License-Identifier: MIT */
/*
 * span - all leaves of an acquisition locked at once, so that it is decided in one moment whether
 * something conflicts with it, wherever in it that is.
 *
 * Leaves are locked in ascending order, so that threads that do so do not wait for each other in a
 * cycle. The first one is found by the index, with nothing locked, and each next one by its neighbour:
 * what comes next to a leaf does not change while that is locked. From one range of a set to the next,
 * a leaf that the index names is only tried: it may be out of date, and to wait for a leaf that lies
 * below a locked one can be a deadlock. If that fails, the thread goes through the leaves between,
 * and locks each of them for a moment.
 *
 * A biased leaf needs a fence before a writer may look into it, which takes microseconds: all biased
 * leaves of a set have one together.
 */
#ifndef RANGE_LOCK_SPAN_H
#define RANGE_LOCK_SPAN_H

#include "bias.h"
#include "set.h"

/*
 * Locks all leaves of a set, and notes the first and the last one of each range in it. Revokes the
 * bias as it says, and of the leaves of writers in any case.
 */
void range__span_lock(struct range__set *set, enum range__bias bias);

/* The same with the first leaf locked already. */
void range__span_lock_from(struct range__set *set, struct range__leaf *first,
			   enum range__bias bias);

/* Unlocks them, in ascending order. wakes, which may be NULL, is for after that. */
void range__span_unlock(struct range__set *set, const struct range__wakes *wakes);

/* Whether a set has a leaf other than the one of its first range's start. */
static inline bool range__set_is_wide(const struct range__set *set)
{
	return set->n > 1 || range__is_wide(range__set_hold(set, 0));
}

#endif
