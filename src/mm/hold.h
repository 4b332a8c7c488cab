/* SPDX-License-Identifier: MIT */
/*
 * hold - what a thread holds by mm_lock_range() and the coarse lock, while it calls operations that
 * lock by themselves; and, for hold.c, the lock itself.
 */
#ifndef MM_HOLD_H
#define MM_HOLD_H

#include "thread.h"

#include <mmrange/mm.h>

#include <stdbool.h>
#include <stdint.h>

/*
 * What the thread's own holds say about [start, end). 0: *nested says whether one of them covers it,
 * or none overlaps it; EDEADLK: it would wait for itself.
 */
int mm__held_slow(const struct mm__thread *thread, uint64_t start, uint64_t end, enum range_mode mode,
		  bool *nested);

static inline int mm__held(const struct mm__thread *thread, uint64_t start, uint64_t end,
			   enum range_mode mode, bool *nested)
{
	*nested = false;
	return thread->held ? mm__held_slow(thread, start, end, mode, nested) : 0;
}

/* locking.c */
bool mm__knows_ranges(const struct mm *mm);
void mm__range_acquire(struct mm *mm, struct range_hold *range, uint64_t start, uint64_t end,
		       enum range_mode mode);
void mm__range_release(struct mm *mm, struct range_hold *range);

#endif
