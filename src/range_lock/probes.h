/* SPDX-License-Identifier: MIT */
/*
 * probes - where the slow paths of acquiring and releasing tell a tracer about waits.
 *
 * The probes of an acquisition of several ranges name the first range, so that a tracer finds the
 * beginning of a wait at its end by the address of that range.
 */
#ifndef RANGE_LOCK_PROBES_H
#define RANGE_LOCK_PROBES_H

#include "platform/probe.h"

#include "set.h"

/* With all leaves of the set locked: the acquisition has come to wait. */
static inline void range__probe_entry(const struct range__set *set)
{
	const struct range__hold *range = range__set_hold(set, 0);

	MMRANGE__PROBE5(range_entry, set->lock, range->start, range->end, range->mode, range);
}

/* A wait has ended: the acquisition holds, or error says why it does not. */
static inline void range__probe_waited(const struct range__set *set, int error)
{
	const struct range__hold *range = range__set_hold(set, 0);

	if (error)
		MMRANGE__PROBE6(range_failed, set->lock, range->start, range->end, range->mode,
				range, error);
	else
		MMRANGE__PROBE5(range_acquired, set->lock, range->start, range->end, range->mode,
				range);
}

/* The range is about to be released, and has to lock a leaf for that. */
static inline void range__probe_release(struct range__lock *lock, const struct range__hold *range)
{
	MMRANGE__PROBE5(range_release, lock, range->start, range->end, range->mode, range);
}

#endif
