/* SPDX-License-Identifier: MIT */
/*
 * The lock of a page table. A waiter counts as waiting before it passes its fence, and then sleeps;
 * the thread that unlocks wakes it. Errors in this protocol seldom show in a run, so the test looks
 * at each step. tests/model/table_lock.c checks the orders between the steps.
 */
#include "parking.h"
#include "stepper.h"

#define THREADS 4u

static struct mm__table_lock table_lock;
static atomic_uint fences, waiters_at_fence;
static uint64_t sum; /* plain: under the lock */

static void at_fence(void)
{
	atomic_fetch_add(&fences, 1);
	atomic_store(&waiters_at_fence, atomic_load(&table_lock.waiters));
}

static void begin(void)
{
	mm__table_lock_init(&table_lock);
	watch_parking(&table_lock.word);
	atomic_store(&fences, 0);
	sum = 0;
	step_at_fence = at_fence;
}

static void *lock_once(void *arg)
{
	mm__table_lock_take(&table_lock);
	sum++;
	mm__table_lock_drop(&table_lock);
	return arg;
}

TEST(mm_table_lock, a_waiter_is_woken)
{
	pthread_t thread;

	begin();
	mm__table_lock_take(&table_lock);
	thread = thread_start(lock_once, NULL);
	AWAIT(atomic_load(&park_sleeps));
	CHECK_EQ(atomic_load(&fences), 1);
	CHECK_EQ(atomic_load(&waiters_at_fence), 1);
	CHECK_EQ(sum, 0);
	mm__table_lock_drop(&table_lock);
	CHECK_EQ(atomic_load(&park_wakes), 1);
	thread_join(thread);
	CHECK_EQ(sum, 1);
	CHECK_EQ(atomic_load(&table_lock.waiters), 0);
}

TEST(mm_table_lock, no_thread_is_woken_where_no_thread_waits)
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
			mm__table_lock_take(&table_lock);
			sched_yield();
			mm__table_lock_drop(&table_lock);
		}
	}
	return arg;
}

TEST(mm_table_lock, threads_exclude_each_other)
{
	pthread_t threads[THREADS];

	begin();
	for (unsigned int i = 0; i < THREADS; i++)
		threads[i] = thread_start(lock_often, NULL);
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	CHECK_EQ(sum, (uint64_t)THREADS * test_scale(20000));
	CHECK_EQ(atomic_load(&table_lock.waiters), 0);
}
