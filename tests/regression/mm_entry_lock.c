/* SPDX-License-Identifier: MIT */
/*
 * The lock in an entry of a page table. tests/model/entry_lock.c checks the orders between its
 * steps.
 */
#include "parking.h"
#include "stepper.h"

#define THREADS 4u

static _Atomic(uint64_t) entry;
static _Atomic(uint32_t) waiters;

static void lock_entry(void)
{
	while (!mm__entry_lock_try(&entry, 0))
		mm__entry_lock_wait(&entry, &waiters);
}

static void unlock_entry(void)
{
	mm__entry_lock_drop(&entry, &waiters, 0);
}

static struct parking_lock lock = { &entry, &waiters, lock_entry, unlock_entry, 0 };

TEST(mm_entry_lock, a_thread_that_waits_is_woken)
{
	check_waiter_is_woken(&lock);
}

static void *look(void *arg)
{
	mm__entry_lock_wait(arg, &waiters);
	return NULL;
}

/* A thread that only waits until the entry is unlocked wakes no other thread. */
TEST(mm_entry_lock, all_that_wait_are_woken)
{
	pthread_t threads[THREADS];

	watch_parking(&lock);
	lock_entry();
	for (unsigned int i = 0; i < THREADS; i++)
		threads[i] = thread_start(look, &entry);
	AWAIT(atomic_load(&park_sleeps) == THREADS);
	unlock_entry();
	CHECK_EQ(atomic_load(&park_woke_all), true);
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	CHECK_EQ(atomic_load(&waiters), 0);
}

/* The threads wait for different entries, and one word counts them all. */
TEST(mm_entry_lock, a_thread_that_waits_for_another_entry_continues_to_wait)
{
	static _Atomic(uint64_t) other = MM__BUSY;
	pthread_t thread;

	watch_parking(&lock);
	lock_entry();
	thread = thread_start(lock_once, &lock);
	AWAIT(atomic_load(&park_sleeps));
	mm__entry_lock_drop(&other, &waiters, 0);
	CHECK_EQ(atomic_load(&waiters), 1);
	CHECK_EQ(lock.sum, 0);
	unlock_entry();
	thread_join(thread);
	CHECK_EQ(lock.sum, 1);
}

/*
 * A thread waits for each of the entries in turn. Another thread, which the test plays, waits for
 * other entries all the time. Entry 2 is not locked.
 */
TEST(mm_entry_lock, dropping_many_entries_empties_each_and_wakes_all_that_wait)
{
	static const uint16_t locked[] = { 1, 3, 6 };
	static _Atomic(uint64_t) entries[8] = { [2] = MM_PAGE_SIZE };

	for (unsigned int i = 0; i < 3; i++) {
		struct parking_lock waited = { &entries[locked[i]], &waiters, NULL, NULL, 0 };
		pthread_t thread;

		for (unsigned int k = 0; k < 3; k++)
			atomic_store(&entries[locked[k]], MM_PAGE_SIZE | MM__BUSY);
		watch_parking(&waited);
		atomic_store(&waiters, 1);
		thread = thread_start(look, waited.word);
		AWAIT(atomic_load(&park_sleeps));
		mm__entry_lock_drop_all(entries, locked, 3, &waiters);
		for (unsigned int k = 0; k < 3; k++)
			CHECK_EQ(atomic_load(&entries[locked[k]]), 0);
		CHECK_EQ(atomic_load(&entries[2]), MM_PAGE_SIZE);
		CHECK_EQ(atomic_load(&park_wakes), 1);
		thread_join(thread);
		CHECK_EQ(atomic_load(&waiters), 1);
	}
	atomic_store(&waiters, 0);
}

TEST(mm_entry_lock, no_thread_is_woken_where_none_waits)
{
	check_no_thread_is_woken(&lock);
}

TEST(mm_entry_lock, threads_exclude_each_other)
{
	check_threads_exclude_each_other(&lock);
}
