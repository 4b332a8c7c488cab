/* SPDX-License-Identifier: MIT */
/*
 * hold - the ranges that an operation holds while it runs. The calling thread may hold ranges
 * already, by mm_lock_range() or the coarse lock (lock_range.c); the per-thread state lists them.
 * An operation in such a range does not wait for its own thread.
 */
#ifndef MM_HOLD_H
#define MM_HOLD_H

#include "space.h"

/*
 * The ranges that an operation holds: [start, end), and [other_start, other_end) unless it is
 * empty.
 */
struct mm__hold {
	uint64_t start;
	uint64_t end;
	uint64_t other_start;
	uint64_t other_end;
	bool nested; /* the thread holds the range already, so the operation acquires nothing */
	bool other_nested;
	struct range_hold range;
	struct range_hold other;
};

/*
 * start < end. The caller holds nothing but ranges from mm_lock_range(). Returns 0, or EDEADLK if
 * the thread would wait for itself.
 */
int mm__hold_read(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end);
int mm__hold_write(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end);

/* Two ranges, which may overlap. The second may be empty. */
int mm__hold_write_two(struct mm__thread *thread, struct mm__hold *hold, uint64_t start,
		       uint64_t end, uint64_t other_start, uint64_t other_end);

/* Does not wait, so the caller may hold the VMA tree lock. Returns 0, EBUSY or EDEADLK. */
int mm__hold_trywrite(struct mm__thread *thread, struct mm__hold *hold, uint64_t start,
		      uint64_t end);

/* Whether the held ranges cover [start, end). */
bool mm__hold_covers(const struct mm__hold *hold, uint64_t start, uint64_t end);

void mm__release(struct mm__thread *thread, struct mm__hold *hold);

/*
 * In modes without ranges, for a thread that holds the whole lock: 0, or EDEADLK if it would wait
 * for itself.
 */
int mm__held_whole(const struct mm__thread *thread, enum range_mode mode);

#endif
