/* SPDX-License-Identifier: MIT */
/*
 * Stops what the function that range_lock_foreach() calls must not do, see checked.h. Each thread
 * records the walks that it is in, the innermost last.
 */
#include "checked_walk.h"

#ifdef MMRANGE_CHECKED

#include "checked_stop.h"

#include <pthread.h>

enum {
	MOST_WALKS = 4, /* deeper ones are not recorded */
	/*
	 * Bytes of stack. A thread that leaves the function by longjmp() seldom goes further up.
	 * The function must not switch to another stack; a function that does so seldom finds one
	 * this near.
	 */
	NEAR = 1 << 20
};

static MMRANGE__THREAD_LOCAL struct {
	const struct range__lock *lock;
	uintptr_t frame; /* of the call of the function */
} walks[MOST_WALKS];

MMRANGE__THREAD_LOCAL unsigned int range__walks;

static void thread_ended(void *lock)
{
	range__checked_stop("a thread ended in the function of range_lock_foreach()", lock, NULL);
}

__attribute__((noinline)) int
range__checked_tell(struct range__lock *lock, int (*fn)(const struct range_info *info, void *arg),
		    const struct range_info *info, void *arg)
{
	volatile int result;

	if (range__walks < MOST_WALKS) {
		walks[range__walks].lock = lock;
		walks[range__walks].frame = (uintptr_t)__builtin_frame_address(0);
	}
	range__walks++;
	pthread_cleanup_push(thread_ended, lock);
	result = fn(info, arg);
	pthread_cleanup_pop(0);
	range__walks--;
	return result;
}

/* The stack grows downwards: below the frame of a call are those of the calls that it makes. */
void range__checked_still_in_walk(const struct range__lock *lock)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uintptr_t call = range__walks <= MOST_WALKS ? walks[range__walks - 1].frame : UINTPTR_MAX;

	if (here > call && here - call < NEAR)
		range__checked_stop("a thread left the function of range_lock_foreach() by a jump",
				    lock, NULL);
}

void range__checked_not_walked(const struct range__lock *lock)
{
	for (unsigned int i = 0; i < range__walks && i < MOST_WALKS; i++)
		if (walks[i].lock == lock)
			range__checked_stop("the function of range_lock_foreach() ends the life of "
					    "its lock",
					    lock, NULL);
}

#endif
