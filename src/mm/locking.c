/* SPDX-License-Identifier: MIT */
/*
 * Hides which lock the operations take: ranges of the range lock, always its full range, or an
 * rwlock. See hold.c for the ranges that a thread holds itself.
 *
 * None of these calls fails in correct use. If one fails nevertheless, the process ends, because to
 * continue without the lock would destroy the data that it protects.
 */
#include "hold.h"
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

static void must(int error)
{
	if (error)
		abort();
}

/*
 * Linux's mmap_lock lets waiting writers in before new readers. glibc's rwlock does so only on
 * request. Without the request, faults keep a writer waiting for seconds.
 */
static int rwlock_init(pthread_rwlock_t *rwlock)
{
	pthread_rwlockattr_t attr;
	int error = pthread_rwlockattr_init(&attr);

	if (error)
		return error;
#ifdef __GLIBC__
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
	error = pthread_rwlock_init(rwlock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return error;
}

int mm__locking_init(struct mm *mm)
{
	if (pthread_mutex_init(&mm->tree_lock, NULL))
		return ENOMEM;
	if (pthread_mutex_init(&mm->room_lock, NULL)) {
		pthread_mutex_destroy(&mm->tree_lock);
		return ENOMEM;
	}
	if (rwlock_init(&mm->rwlock)) {
		pthread_mutex_destroy(&mm->room_lock);
		pthread_mutex_destroy(&mm->tree_lock);
		return ENOMEM;
	}
	return range_lock_init(&mm->range_lock, NULL);
}

void mm__locking_destroy(struct mm *mm)
{
	must(range_lock_destroy(&mm->range_lock));
	pthread_rwlock_destroy(&mm->rwlock);
	pthread_mutex_destroy(&mm->room_lock);
	pthread_mutex_destroy(&mm->tree_lock);
}

bool mm__knows_ranges(const struct mm *mm)
{
	return mm->attr.locking == MM_LOCKING_RANGE || mm->attr.locking == MM_LOCKING_SPECULATIVE;
}

void mm__range_acquire(struct mm *mm, struct range_hold *range, uint64_t start, uint64_t end,
		       enum range_mode mode)
{
	if (!MM__LOCKING)
		return;
	mm__order_take(MM__ORDER_RANGE, 0, 0);
	mm__order_drop(MM__ORDER_RANGE);
	if (mm->attr.locking != MM_LOCKING_RWLOCK)
		must(range_lock(&mm->range_lock, range, start, end, mode));
	else if (mode == RANGE_READ)
		must(pthread_rwlock_rdlock(&mm->rwlock));
	else
		must(pthread_rwlock_wrlock(&mm->rwlock));
}

static int try_acquire(struct mm *mm, struct range_hold *range, uint64_t start, uint64_t end)
{
	int error;

	if (!MM__LOCKING)
		return 0;
	if (mm->attr.locking == MM_LOCKING_RWLOCK)
		error = pthread_rwlock_trywrlock(&mm->rwlock);
	else
		error = range_trylock(&mm->range_lock, range, start, end, RANGE_WRITE);
	if (error != EBUSY)
		must(error);
	return error;
}

void mm__range_release(struct mm *mm, struct range_hold *range)
{
	if (!MM__LOCKING)
		return;
	if (mm->attr.locking == MM_LOCKING_RWLOCK)
		must(pthread_rwlock_unlock(&mm->rwlock));
	else
		range_unlock(&mm->range_lock, range);
}

static void covers(const struct mm *mm, struct mm__hold *hold, uint64_t start, uint64_t end)
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

	covers(thread->mm, hold, start, end);
	error = mm__held(thread, hold->start, hold->end, mode, &hold->nested);
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

	covers(thread->mm, hold, start, end);
	error = mm__held(thread, hold->start, hold->end, RANGE_WRITE, &hold->nested);
	if (!error && !hold->nested)
		error = try_acquire(thread->mm, &hold->range, hold->start, hold->end);
	return error;
}

/* Acquires in one step those of the two ranges that the thread does not hold yet. */
static void acquire_two(struct mm__thread *thread, struct mm__hold *hold)
{
	struct range_request requests[2];
	unsigned int n = 0;

	if (!MM__LOCKING)
		return;
	if (!hold->nested)
		requests[n++] =
			(struct range_request){ &hold->range, hold->start, hold->end, RANGE_WRITE };
	if (!hold->other_nested)
		requests[n++] = (struct range_request){ &hold->other, hold->other_start,
							hold->other_end, RANGE_WRITE };
	mm__order_take(MM__ORDER_RANGE, 0, 0);
	mm__order_drop(MM__ORDER_RANGE);
	if (n)
		must(range_lock_many(&thread->mm->range_lock, requests, n));
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
	covers(thread->mm, hold, start, end);
	hold->other_start = other_start;
	hold->other_end = other_end;
	error = mm__held(thread, start, end, RANGE_WRITE, &hold->nested);
	if (!error)
		error = mm__held(thread, other_start, other_end, RANGE_WRITE, &hold->other_nested);
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

/*
 * The VMA tree lock
 */

void mm__tree_lock(struct mm *mm)
{
	mm__mutex_lock(&mm->tree_lock, MM__ORDER_TREE);
	/* Other threads may take VMAs out in place while this one uses them. */
	mm__rcu_read_lock();
	if (MM__LOCKING)
		mm->tree_lock_taken = mmrange__now();
}

void mm__tree_unlock(struct mm *mm, struct mm__thread *thread)
{
	uint64_t held = 0;

	/* Measured before the unlock, because the time to wake waiters is no hold time. */
	if (MM__LOCKING)
		held = mmrange__now() - mm->tree_lock_taken;
	mm__rcu_read_unlock();
	mm__mutex_unlock(&mm->tree_lock, MM__ORDER_TREE);
	if (MM__LOCKING && thread)
		mm__count(thread, MM__HOLD_TIME + mm__hold_time_index(held));
}
