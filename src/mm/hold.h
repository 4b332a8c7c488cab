/* SPDX-License-Identifier: MIT */
/*
 * hold - the ranges that a thread holds by mm_lock_range() or the coarse lock, while it calls
 * operations that lock ranges themselves; and, for hold.c, the lock itself.
 */
#ifndef MM_HOLD_H
#define MM_HOLD_H

#include "thread.h"

#include <mmrange/mm.h>

#include <stdbool.h>
#include <stdint.h>

/*
 * Compares [start, end) with the ranges that the thread holds. 0: *nested says whether one of them
 * covers it; if not, none overlaps it. EDEADLK: the thread would wait for itself.
 */
int mm__held_slow(const struct mm__thread *thread, uint64_t start, uint64_t end,
		  enum range_mode mode, bool *nested);

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
