/* SPDX-License-Identifier: MIT */
/*
 * The lock in an entry of a page table. A waiter counts as waiting before it passes its fence, and
 * then sleeps; the thread that unlocks the entry wakes it. Errors in this protocol seldom show in a
 * run, so the test looks at each step. tests/model/entry_lock.c checks the orders between the
 * steps.
 */
#include "parking.h"
#include "stepper.h"

#define THREADS 4u

static _Atomic(uint64_t) entry;
static _Atomic(uint32_t) waiters;
static atomic_uint fences, waiters_at_fence;
static uint64_t sum; /* plain: under the lock */

static void at_fence(void)
{
	atomic_fetch_add(&fences, 1);
	atomic_store(&waiters_at_fence, atomic_load(&waiters));
}

static void begin(void)
{
	atomic_store(&entry, 0);
	atomic_store(&waiters, 0);
	watch_parking(&entry);
	atomic_store(&fences, 0);
	sum = 0;
	step_at_fence = at_fence;
}

static void lock_entry(void)
{
	while (!mm__entry_lock_try(&entry, 0))
		mm__entry_lock_wait(&entry, &waiters);
}

static void unlock_entry(void)
{
	mm__entry_lock_drop(&entry, &waiters, 0);
}

static void *lock_once(void *arg)
{
	lock_entry();
	sum++;
	unlock_entry();
	return arg;
}

TEST(mm_entry_lock, a_thread_that_waits_is_woken)
{
	pthread_t thread;

	begin();
	lock_entry();
	thread = thread_start(lock_once, NULL);
	AWAIT(atomic_load(&park_sleeps));
	CHECK_EQ(atomic_load(&fences), 1);
	CHECK_EQ(atomic_load(&waiters_at_fence), 1);
	CHECK_EQ(sum, 0);
	unlock_entry();
	CHECK_EQ(atomic_load(&park_wakes), 1);
	thread_join(thread);
	CHECK_EQ(sum, 1);
	CHECK_EQ(atomic_load(&waiters), 0);
}

static void *look(void *arg)
{
	mm__entry_lock_wait(&entry, &waiters);
	return arg;
}

/* A thread that only waits until the entry is unlocked wakes no other thread. */
TEST(mm_entry_lock, all_that_wait_are_woken)
{
	pthread_t threads[THREADS];

	begin();
	lock_entry();
	for (unsigned int i = 0; i < THREADS; i++)
		threads[i] = thread_start(look, NULL);
	AWAIT(atomic_load(&park_sleeps) == THREADS);
	unlock_entry();
	CHECK_EQ(atomic_load(&park_woke_all), true);
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	CHECK_EQ(atomic_load(&waiters), 0);
}

/* The threads wait for different entries, and one word counts them all. */
TEST(mm_entry_lock, a_thread_that_waits_for_another_entry_goes_on_waiting)
{
	static _Atomic(uint64_t) other = MM__BUSY;
	pthread_t thread;

	begin();
	lock_entry();
	thread = thread_start(lock_once, NULL);
	AWAIT(atomic_load(&park_sleeps));
	mm__entry_lock_drop(&other, &waiters, 0);
	CHECK_EQ(atomic_load(&waiters), 1);
	CHECK_EQ(sum, 0);
	unlock_entry();
	thread_join(thread);
	CHECK_EQ(sum, 1);
}

TEST(mm_entry_lock, no_thread_is_woken_where_none_waits)
{
	begin();
	for (unsigned int i = 0; i < 100; i++)
		lock_once(NULL);
	CHECK_EQ(sum, 100);
	CHECK_EQ(atomic_load(&park_wakes), 0);
	CHECK_EQ(atomic_load(&fences), 0);
}

static void *lock_often(void *arg)
{
	for (unsigned int i = 0; i < test_scale(20000); i++) {
		lock_once(NULL);
		if (i % 64 == 0) {
			lock_entry();
			sched_yield();
			unlock_entry();
		}
	}
	return arg;
}

TEST(mm_entry_lock, threads_exclude_each_other)
{
	pthread_t threads[THREADS];

	begin();
	for (unsigned int i = 0; i < THREADS; i++)
		threads[i] = thread_start(lock_often, NULL);
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	CHECK_EQ(sum, (uint64_t)THREADS * test_scale(20000));
	CHECK_EQ(atomic_load(&waiters), 0);
}
