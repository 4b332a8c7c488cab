/* SPDX-License-Identifier: MIT */
/*
 * checked_walk - stops what the function that range_lock_foreach() calls must not do, in builds
 * with MMRANGE_CHECKED.
 */
#ifndef RANGE_LOCK_CHECKED_WALK_H
#define RANGE_LOCK_CHECKED_WALK_H

#include "layout.h"
#include "platform/platform.h"

#ifdef MMRANGE_CHECKED

/* Calls the function that range_lock_foreach() was given; stops if the thread ends in it. */
int range__checked_tell(struct range__lock *lock,
			int (*fn)(const struct range_info *info, void *arg),
			const struct range_info *info, void *arg);

/*
 * Before a lock is made or destroyed; stops if the calling thread is in range_lock_foreach() of it.
 */
void range__checked_not_walked(const struct range__lock *lock);

/* How many calls of range__checked_tell() the calling thread has begun and not returned from. */
extern MMRANGE__THREAD_LOCAL unsigned int range__walks;

/* With such calls: stops if the thread has left the innermost one by a jump. */
void range__checked_still_in_walk(const struct range__lock *lock);

#else

static inline int range__checked_tell(struct range__lock *lock,
				      int (*fn)(const struct range_info *info, void *arg),
				      const struct range_info *info, void *arg)
{
	(void)lock;
	return fn(info, arg);
}

static inline void range__checked_not_walked(const struct range__lock *lock)
{
	(void)lock;
}

#endif

#endif
