/* SPDX-License-Identifier: MIT */
#include "locking.h"

#include <errno.h>
#include <stdlib.h>

static void must_succeed(int error)
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
	must_succeed(range_lock_destroy(&mm->range_lock));
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
	mm__order_check(MM__ORDER_RANGE);
	if (mm->attr.locking != MM_LOCKING_RWLOCK)
		must_succeed(range_lock(&mm->range_lock, range, start, end, mode));
	else if (mode == RANGE_READ)
		must_succeed(pthread_rwlock_rdlock(&mm->rwlock));
	else
		must_succeed(pthread_rwlock_wrlock(&mm->rwlock));
}

int mm__range_try(struct mm *mm, struct range_hold *range, uint64_t start, uint64_t end)
{
	int error;

	if (mm->attr.locking == MM_LOCKING_RWLOCK)
		error = pthread_rwlock_trywrlock(&mm->rwlock);
	else
		error = range_trylock(&mm->range_lock, range, start, end, RANGE_WRITE);
	if (error != EBUSY)
		must_succeed(error);
	return error;
}

void mm__range_acquire_all(struct mm *mm, struct range_request *requests, unsigned int n)
{
	if (!n)
		return;
	mm__order_check(MM__ORDER_RANGE);
	must_succeed(range_lock_many(&mm->range_lock, requests, n));
}

void mm__range_release(struct mm *mm, struct range_hold *range)
{
	if (mm->attr.locking == MM_LOCKING_RWLOCK)
		must_succeed(pthread_rwlock_unlock(&mm->rwlock));
	else
		range_unlock(&mm->range_lock, range);
}
