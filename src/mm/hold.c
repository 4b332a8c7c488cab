/* SPDX-License-Identifier: MIT */
#include "hold.h"

#include "locking.h"
#include "page.h"

#include <errno.h>

int mm__held_whole(const struct mm__thread *thread, enum range_mode mode)
{
	return mode == RANGE_WRITE && thread->whole_mode == RANGE_READ ? EDEADLK : 0;
}

/*
 * Compares [start, end) with the ranges that the thread holds. 0: *nested says whether one of them
 * covers it; if not, none overlaps it. EDEADLK: the thread would wait for itself.
 */
static int compare_with_held(const struct mm__thread *thread, uint64_t start, uint64_t end,
			     enum range_mode mode, bool *nested)
{
	if (!mm__knows_ranges(thread->mm)) {
		*nested = true;
		return mm__held_whole(thread, mode);
	}
	for (const struct mm_hold *held = thread->held; held; held = held->next) {
		if (end <= held->start || held->end <= start)
			continue;
		if (start < held->start || end > held->end ||
		    (mode == RANGE_WRITE && held->mode == RANGE_READ))
			return EDEADLK;
		*nested = true;
	}
	return 0;
}

static int compare_if_held(const struct mm__thread *thread, uint64_t start, uint64_t end,
			   enum range_mode mode, bool *nested)
{
	*nested = false;
	return thread->held ? compare_with_held(thread, start, end, mode, nested) : 0;
}

static void set_covered(const struct mm *mm, struct mm__hold *hold, uint64_t start, uint64_t end)
{
	bool all = !mm__knows_ranges(mm);

	hold->start = all ? 0 : start;
	hold->end = all ? UINT64_MAX : end;
	hold->other_start = 0;
	hold->other_end = 0;
	hold->other_nested = true;
}

static int hold_one(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end,
		    enum range_mode mode)
{
	int error;

	set_covered(thread->mm, hold, start, end);
	error = compare_if_held(thread, hold->start, hold->end, mode, &hold->nested);
	if (!error && !hold->nested)
		mm__range_acquire(thread->mm, &hold->range, hold->start, hold->end, mode);
	return error;
}

int mm__hold_read(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end)
{
	return hold_one(thread, hold, start, end, RANGE_READ);
}

int mm__hold_write(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end)
{
	return hold_one(thread, hold, start, end, RANGE_WRITE);
}

int mm__hold_trywrite(struct mm__thread *thread, struct mm__hold *hold, uint64_t start,
		      uint64_t end)
{
	int error;

	set_covered(thread->mm, hold, start, end);
	error = compare_if_held(thread, hold->start, hold->end, RANGE_WRITE, &hold->nested);
	if (!error && !hold->nested)
		error = mm__range_try(thread->mm, &hold->range, hold->start, hold->end);
	return error;
}

/* Acquires in one step those of the two ranges that the thread does not hold yet. */
static void acquire_two(struct mm__thread *thread, struct mm__hold *hold)
{
	struct range_request requests[2];
	unsigned int n = 0;

	if (!hold->nested)
		requests[n++] =
			(struct range_request){ &hold->range, hold->start, hold->end, RANGE_WRITE };
	if (!hold->other_nested)
		requests[n++] = (struct range_request){ &hold->other, hold->other_start,
							hold->other_end, RANGE_WRITE };
	mm__range_acquire_all(thread->mm, requests, n);
}

int mm__hold_write_two(struct mm__thread *thread, struct mm__hold *hold, uint64_t start,
		       uint64_t end, uint64_t other_start, uint64_t other_end)
{
	int error;

	if (!mm__knows_ranges(thread->mm) || other_start >= other_end)
		return mm__hold_write(thread, hold, start, end);
	if (start <= other_end && other_start <= end)
		return mm__hold_write(thread, hold, mm__min(start, other_start),
				      mm__max(end, other_end));
	set_covered(thread->mm, hold, start, end);
	hold->other_start = other_start;
	hold->other_end = other_end;
	error = compare_if_held(thread, start, end, RANGE_WRITE, &hold->nested);
	if (!error)
		error = compare_if_held(thread, other_start, other_end, RANGE_WRITE,
					&hold->other_nested);
	if (!error)
		acquire_two(thread, hold);
	return error;
}

bool mm__hold_covers(const struct mm__hold *hold, uint64_t start, uint64_t end)
{
	return (hold->start <= start && end <= hold->end) ||
	       (hold->other_start <= start && end <= hold->other_end);
}

void mm__release(struct mm__thread *thread, struct mm__hold *hold)
{
	if (!hold->other_nested)
		mm__range_release(thread->mm, &hold->other);
	if (!hold->nested)
		mm__range_release(thread->mm, &hold->range);
}
