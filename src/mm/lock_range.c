/* SPDX-License-Identifier: MIT */
/*
 * Locks that callers of the library hold, while they call operations that lock ranges themselves.
 * The per-thread state lists the ranges that its thread holds.
 *
 * In modes without ranges (MM_LOCKING_COARSE, MM_LOCKING_RWLOCK), the first range that a thread
 * locks takes the whole lock, in the per-thread state's own range. Further ranges take nothing. The
 * thread releases the lock with its last range.
 */
#include "attach.h"
#include "hold.h"
#include "locking.h"
#include "page.h"

#include <errno.h>

static bool overlaps_held(const struct mm__thread *thread, uint64_t start, uint64_t end)
{
	const struct mm_hold *held = thread->held;

	while (held && (end <= held->start || held->end <= start))
		held = held->next;
	return held;
}

static int acquire_held(struct mm__thread *thread, struct mm_hold *hold)
{
	if (mm__knows_ranges(thread->mm)) {
		mm__range_acquire(thread->mm, &hold->range, hold->start, hold->end, hold->mode);
		return 0;
	}
	if (thread->held)
		return mm__held_whole(thread, hold->mode);
	mm__range_acquire(thread->mm, &thread->whole, 0, UINT64_MAX, hold->mode);
	thread->whole_mode = hold->mode;
	return 0;
}

int mm_lock_range(struct mm *mm, struct mm_hold *hold, uint64_t start, uint64_t end,
		  enum range_mode mode)
{
	struct mm__thread *thread;
	int error;

	if (start >= end || !mm__page_aligned(start) ||
	    (!mm__page_aligned(end) && end != UINT64_MAX) ||
	    (mode != RANGE_READ && mode != RANGE_WRITE))
		return EINVAL;
	thread = mm__this_thread(mm);
	if (!thread)
		return ENOMEM;
	if (overlaps_held(thread, start, end))
		return EDEADLK;
	hold->start = start;
	hold->end = end;
	hold->mode = mode;
	error = acquire_held(thread, hold);
	if (error)
		return error;
	hold->next = thread->held;
	thread->held = hold;
	return 0;
}

static void unlock_held(struct mm__thread *thread, struct mm_hold *hold)
{
	struct mm_hold **link = &thread->held;

	while (*link && *link != hold)
		link = &(*link)->next;
	mm__check(*link, "a range is unlocked that the thread does not hold");
	if (!*link)
		return;
	*link = hold->next;
	if (mm__knows_ranges(thread->mm))
		mm__range_release(thread->mm, &hold->range);
	else if (!thread->held)
		mm__range_release(thread->mm, &thread->whole);
}

void mm_unlock_range(struct mm *mm, struct mm_hold *hold)
{
	/* The per-thread state was made when the range was locked. */
	unlock_held(mm__this_thread(mm), hold);
}

static int lock_all(struct mm *mm, enum range_mode mode)
{
	struct mm__thread *thread = mm__this_thread(mm);

	return thread ? mm_lock_range(mm, &thread->coarse, 0, UINT64_MAX, mode) : ENOMEM;
}

int mm_read_lock(struct mm *mm)
{
	return lock_all(mm, RANGE_READ);
}

int mm_write_lock(struct mm *mm)
{
	return lock_all(mm, RANGE_WRITE);
}

void mm_read_unlock(struct mm *mm)
{
	struct mm__thread *thread = mm__this_thread(mm);

	unlock_held(thread, &thread->coarse);
}

void mm_write_unlock(struct mm *mm)
{
	mm_read_unlock(mm);
}
