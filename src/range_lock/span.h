/* SPDX-License-Identifier: MIT */
/*
 * span - locks all leaves of an acquisition at once, so that one moment decides whether any range
 * conflicts with it.
 *
 * A thread locks leaves in ascending order, so such threads do not wait for each other in a cycle.
 * With nothing locked, it finds the first leaf by the index. It finds each next leaf as the right
 * neighbour of a locked one, which does not change meanwhile. From one range of a set to the next,
 * the thread only tries to lock the leaf that the index names. The index may be out of date, and to
 * wait for a leaf that lies below a locked one can be a deadlock. If the attempt fails, the thread
 * goes through the leaves in between, and locks each of them for a moment.
 *
 * A biased leaf needs a heavy fence, which takes microseconds, before a writer may look into it.
 * All biased leaves of a set have one fence together.
 */
#ifndef RANGE_LOCK_SPAN_H
#define RANGE_LOCK_SPAN_H

#include "bias.h"
#include "set.h"

/*
 * Locks all leaves of a set, and notes the first and the last leaf of each range. Revokes the bias
 * of the leaves that writers overlap, or of all.
 */
void range__span_lock(struct range__set *set, enum range__bias bias);

/* The same with the first leaf locked already. */
void range__span_lock_from(struct range__set *set, struct range__leaf *first,
			   enum range__bias bias);

/* Unlocks all leaves in ascending order, then unparks the waiters in wakes, which may be NULL. */
void range__span_unlock(struct range__set *set, const struct range__wakes *wakes);

/* Whether a set has more leaves than the one that owns its first start. */
static inline bool range__set_is_wide(const struct range__set *set)
{
	return set->n > 1 || range__is_wide(range__set_hold(set, 0));
}

#endif
