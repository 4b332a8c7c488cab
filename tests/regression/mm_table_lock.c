/* SPDX-License-Identifier: MIT */
/*
 * The lock of a page table. tests/model/table_lock.c checks the orders between its steps.
 */
#include "parking.h"
#include "stepper.h"

static struct mm__table_lock table_lock; /* 0: unlocked */

static void lock_table(void)
{
	mm__table_lock_take(&table_lock);
}

static void unlock_table(void)
{
	mm__table_lock_drop(&table_lock);
}

static struct parking_lock lock = { &table_lock.word, &table_lock.waiters, lock_table, unlock_table,
				    0 };

TEST(mm_table_lock, a_waiter_is_woken)
{
	check_waiter_is_woken(&lock);
}

TEST(mm_table_lock, no_thread_is_woken_where_no_thread_waits)
{
	check_no_thread_is_woken(&lock);
}

TEST(mm_table_lock, threads_exclude_each_other)
{
	check_threads_exclude_each_other(&lock);
}
