/* SPDX-License-Identifier: MIT */
/*
 * times - how often, and for how long, acquisitions wait: the counters that an attribute of the
 * lock turns on.
 *
 * The slow path counts, and the fast path does not know of the counters. Each thread counts in one
 * of several stripes, which it finds by its number. So threads whose waits do not overlap mostly
 * write no common line.
 *
 * An acquisition counts before another thread can learn that it has ended, because the counters may
 * be gone then. So a thread that grants an acquisition to another one counts before it tells.
 */
#ifndef RANGE_LOCK_TIMES_H
#define RANGE_LOCK_TIMES_H

#include "platform/platform.h"
#include "set.h"

/* If the lock has counters; any thread may count for another one. */
void range__times_add_hold(struct range_lock_counters *counters, enum range_mode mode);
void range__times_add_wait(struct range_lock_counters *counters, enum range_mode mode, uint64_t ns);

/* As what an acquisition counts: for writing if one of its ranges is. */
enum range_mode range__times_mode(const struct range__set *set);

/* An acquisition begins to wait: the time, for range__times_waited(). 0: the lock has no counters.
 */
static inline uint64_t range__times_wait(const struct range__lock *lock)
{
	return lock->counters ? mmrange__now() : 0;
}

/* A wait that began at since has ended, with or without the range. */
static inline void range__times_waited(const struct range__set *set, uint64_t since)
{
	uint64_t now;

	if (!set->lock->counters)
		return;
	now = mmrange__now();
	/* An arrival may be later than the clock, see range__queue_arrive(). */
	range__times_add_wait(set->lock->counters, range__times_mode(set),
			      now > since ? now - since : 0);
}

/* The slow path has granted an acquisition, with or without a wait. */
static inline void range__times_held(const struct range__set *set)
{
	if (set->lock->counters)
		range__times_add_hold(set->lock->counters, range__times_mode(set));
}

#endif
