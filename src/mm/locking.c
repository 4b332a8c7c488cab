/* SPDX-License-Identifier: MIT */
/*
 * Hides which lock the operations take: ranges of the range lock, always its full range, or an
 * rwlock.
 *
 * None of these calls can fail when it is used as it has to be; where one does all the same, going
 * on without the lock would destroy what it protects, so the process ends.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

static void must(int error)
{
	if (error)
		abort();
}

/*
 * Linux's mmap_lock lets waiting writers in before new readers; glibc's rwlock does so only on
 * request, and otherwise lets faults keep a writer waiting for seconds.
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
	if (pthread_mutex_init(&mm->lock, NULL))
		return ENOMEM;
	if (rwlock_init(&mm->rwlock)) {
		pthread_mutex_destroy(&mm->lock);
		return ENOMEM;
	}
	return range_lock_init(&mm->range_lock, NULL);
}

void mm__locking_destroy(struct mm *mm)
{
	must(range_lock_destroy(&mm->range_lock));
	pthread_rwlock_destroy(&mm->rwlock);
	pthread_mutex_destroy(&mm->lock);
}

/* What is held is [start, end), or everything where the mode knows no ranges. */
static void covers(const struct mm *mm, struct mm__hold *hold, uint64_t start, uint64_t end)
{
	bool all = mm->attr.locking != MM_LOCKING_RANGE;

	hold->start = all ? 0 : start;
	hold->end = all ? UINT64_MAX : end;
	hold->other_start = 0;
	hold->other_end = 0;
}

void mm__hold_read(struct mm *mm, struct mm__hold *hold, uint64_t start, uint64_t end)
{
	covers(mm, hold, start, end);
	if (mm->attr.locking == MM_LOCKING_RWLOCK)
		must(pthread_rwlock_rdlock(&mm->rwlock));
	else
		must(range_lock(&mm->range_lock, &hold->range, hold->start, hold->end, RANGE_READ));
}

void mm__hold_write(struct mm *mm, struct mm__hold *hold, uint64_t start, uint64_t end)
{
	covers(mm, hold, start, end);
	if (mm->attr.locking == MM_LOCKING_RWLOCK)
		must(pthread_rwlock_wrlock(&mm->rwlock));
	else
		must(range_lock(&mm->range_lock, &hold->range, hold->start, hold->end,
				RANGE_WRITE));
}

bool mm__hold_trywrite(struct mm *mm, struct mm__hold *hold, uint64_t start, uint64_t end)
{
	int error;

	covers(mm, hold, start, end);
	if (mm->attr.locking == MM_LOCKING_RWLOCK)
		error = pthread_rwlock_trywrlock(&mm->rwlock);
	else
		error = range_trylock(&mm->range_lock, &hold->range, hold->start, hold->end,
				      RANGE_WRITE);
	if (error != EBUSY)
		must(error);
	return !error;
}

void mm__hold_write_two(struct mm *mm, struct mm__hold *hold, uint64_t start, uint64_t end,
			uint64_t other_start, uint64_t other_end)
{
	struct range_request requests[2] = {
		{ &hold->range, start, end, RANGE_WRITE },
		{ &hold->other, other_start, other_end, RANGE_WRITE },
	};

	if (mm->attr.locking != MM_LOCKING_RANGE || other_start >= other_end) {
		mm__hold_write(mm, hold, start, end);
		return;
	}
	if (start <= other_end && other_start <= end) {
		mm__hold_write(mm, hold, mm__min(start, other_start), mm__max(end, other_end));
		return;
	}
	covers(mm, hold, start, end);
	hold->other_start = other_start;
	hold->other_end = other_end;
	must(range_lock_many(&mm->range_lock, requests, 2));
}

bool mm__hold_covers(const struct mm__hold *hold, uint64_t start, uint64_t end)
{
	return (hold->start <= start && end <= hold->end) ||
	       (hold->other_start <= start && end <= hold->other_end);
}

void mm__release(struct mm *mm, struct mm__hold *hold)
{
	if (mm->attr.locking == MM_LOCKING_RWLOCK) {
		must(pthread_rwlock_unlock(&mm->rwlock));
		return;
	}
	if (hold->other_end)
		range_unlock(&mm->range_lock, &hold->other);
	range_unlock(&mm->range_lock, &hold->range);
}

void mm__lock(struct mm *mm)
{
	must(pthread_mutex_lock(&mm->lock));
}

void mm__unlock(struct mm *mm)
{
	must(pthread_mutex_unlock(&mm->lock));
}
