/* SPDX-License-Identifier: MIT */
/*
 * Checks of a lock whose waiters sleep on a word. A waiter counts as waiting before it passes its
 * fence, and then sleeps; the thread that unlocks wakes it. Errors in this protocol seldom show in
 * a run, so the checks look at each step. The linker redirects calls of the platform to parking.c,
 * which counts sleeps and wake-ups.
 */
#ifndef TESTS_PARKING_H
#define TESTS_PARKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct parking_lock {
	_Atomic(uint64_t) *word;
	_Atomic(uint32_t) *waiters;
	void (*lock)(void);
	void (*unlock)(void);
	uint64_t sum; /* plain: under the lock */
};

extern atomic_uint park_sleeps, park_wakes;
/* Whether the last wake-up woke all sleepers. */
extern atomic_bool park_woke_all;

/* Resets the sum and the counts. From now on counts for this lock, which is initialised. */
void watch_parking(struct parking_lock *lock);

/* A thread's function: increments the sum of the struct parking_lock. */
void *lock_once(void *lock);

/* Each begins with watch_parking(). */
void check_waiter_is_woken(struct parking_lock *lock);
void check_no_thread_is_woken(struct parking_lock *lock);
void check_threads_exclude_each_other(struct parking_lock *lock);

#endif
