/* SPDX-License-Identifier: MIT */
#include "parking.h"
#include "stepper.h"

#include "platform/platform.h"

#define THREADS 4u

atomic_uint park_sleeps, park_wakes;
atomic_bool park_woke_all;

static atomic_uint fences, waiters_at_fence;
static _Atomic(uintptr_t) watched;
static _Atomic(uint32_t) *watched_waiters;

static void at_fence(void)
{
	atomic_fetch_add(&fences, 1);
	atomic_store(&waiters_at_fence, atomic_load(watched_waiters));
}

void watch_parking(struct parking_lock *lock)
{
	atomic_store(&watched, (uintptr_t)lock->word);
	watched_waiters = lock->waiters;
	atomic_store(&park_sleeps, 0);
	atomic_store(&park_wakes, 0);
	atomic_store(&park_woke_all, false);
	atomic_store(&fences, 0);
	lock->sum = 0;
	step_at_fence = at_fence;
}

/*
 * Checks
 */

void *lock_once(void *arg)
{
	struct parking_lock *lock = arg;

	lock->lock();
	lock->sum++;
	lock->unlock();
	return NULL;
}

void check_waiter_is_woken(struct parking_lock *lock)
{
	pthread_t thread;

	watch_parking(lock);
	lock->lock();
	thread = thread_start(lock_once, lock);
	AWAIT(atomic_load(&park_sleeps));
	CHECK_EQ(atomic_load(&fences), 1);
	CHECK_EQ(atomic_load(&waiters_at_fence), 1);
	CHECK_EQ(lock->sum, 0);
	lock->unlock();
	CHECK_EQ(atomic_load(&park_wakes), 1);
	thread_join(thread);
	CHECK_EQ(lock->sum, 1);
	CHECK_EQ(atomic_load(lock->waiters), 0);
}

void check_no_thread_is_woken(struct parking_lock *lock)
{
	watch_parking(lock);
	for (unsigned int i = 0; i < 100; i++)
		lock_once(lock);
	CHECK_EQ(lock->sum, 100);
	CHECK_EQ(atomic_load(&park_wakes), 0);
	CHECK_EQ(atomic_load(&fences), 0);
}

static void *lock_often(void *arg)
{
	struct parking_lock *lock = arg;

	for (unsigned int i = 0; i < test_scale(20000); i++) {
		lock_once(lock);
		if (i % 64 == 0) {
			lock->lock();
			sched_yield();
			lock->unlock();
		}
	}
	return NULL;
}

void check_threads_exclude_each_other(struct parking_lock *lock)
{
	pthread_t threads[THREADS];

	watch_parking(lock);
	for (unsigned int i = 0; i < THREADS; i++)
		threads[i] = thread_start(lock_often, lock);
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	CHECK_EQ(lock->sum, (uint64_t)THREADS * test_scale(20000));
	CHECK_EQ(atomic_load(lock->waiters), 0);
}

/*
 * The platform
 */

int __real_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
void __real_mmrange__unpark(_Atomic(uint64_t) *word, bool all);
void __wrap_mmrange__unpark(_Atomic(uint64_t) *word, bool all);

int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline)
{
	if ((uintptr_t)word == atomic_load(&watched))
		atomic_fetch_add(&park_sleeps, 1);
	return __real_mmrange__park(word, expected, clock, deadline);
}

void __wrap_mmrange__unpark(_Atomic(uint64_t) *word, bool all)
{
	if ((uintptr_t)word == atomic_load(&watched)) {
		atomic_fetch_add(&park_wakes, 1);
		atomic_store(&park_woke_all, all);
	}
	__real_mmrange__unpark(word, all);
}
