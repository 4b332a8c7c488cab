/* SPDX-License-Identifier: MIT */
/*
 * wait - the slow paths of acquiring and releasing a range.
 */
#ifndef RANGE_LOCK_WAIT_H
#define RANGE_LOCK_WAIT_H

#include "platform/platform.h"
#include "span.h"

/* How long an acquisition may take. */
struct range__limit {
	bool try;
	clockid_t clock;
	const struct timespec *deadline; /* NULL: for ever */
};

static inline bool range__limit_valid(const struct range__limit *limit)
{
	return (limit->clock == CLOCK_REALTIME || limit->clock == CLOCK_MONOTONIC) &&
	       (!limit->deadline ||
		(limit->deadline->tv_nsec >= 0 && limit->deadline->tv_nsec <= 999999999));
}

/*
 * How often the thread has passed waiters by the fast path, since it last did so by the slow one.
 */
extern MMRANGE__LOCAL MMRANGE__THREAD_LOCAL unsigned int range__passed;

/* Without waiting and without locking a leaf that another thread is in. The range's fields are set. */
bool range__acquire_fast(struct range__lock *lock, struct range__hold *range);

/* 0, EBUSY, ETIMEDOUT, ECANCELED; in the checked build EDEADLK. The fields of its ranges are set. */
int range__acquire_slow(struct range__set *set, const struct range__limit *limit);

/* Releases a range in the leaf that has the key from, which is in it, and in all that follow. */
void range__release_slow(struct range__lock *lock, struct range__hold *range, uint64_t from);

/*
 * With the leaf locked, after [start, end) was released: makes a waiter starving if it is time, and
 * wakes those that can go on. wakes is for after the leaf is unlocked.
 */
void range__wake(struct range__lock *lock, struct range__leaf *leaf, uint64_t start, uint64_t end,
		 struct range__wakes *wakes);

/* The same in all leaves of a set, which are locked, for the range at i. */
void range__wake_range(struct range__set *set, size_t i, uint64_t start, uint64_t end,
		       struct range__wakes *wakes);

/*
 * With all leaves of the set of a waiter locked: takes it out of its queue, tells it why
 * (RANGE_CANCELED or RANGE_DEADLOCKED), and unlocks them. The waiter may be gone then: its address is
 * unparked.
 */
void range__expel_and_unlock(struct range__set *set, uint64_t why);

#endif
