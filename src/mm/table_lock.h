/* SPDX-License-Identifier: MIT */
/*
 * table_lock - the lock of a page table, which every fault takes: one atomic operation to lock, and
 * none to unlock.
 *
 *	unlocking                       waiting
 *	[U1] word = 0, release          [W1] waiters + 1
 *	     light fence                     heavy fence
 *	[U2] waiters? then wake one     [W2] word: 0? take it; else sleep as long as it is 1
 *
 * The fences are a pair: either U2 sees W1, or W2 sees U1. So nobody sleeps on a word that is 0 and
 * that nobody will touch. A thread counts as waiting until it has the lock: whoever passes it in
 * between wakes it again. The taking's acquire pairs with U1's release.
 *
 * Whoever waits pays for the heavy fence; that is seldom, as the lock is held for the time of a few
 * loads and stores, unless its holder was preempted. Waiters may be passed by newcomers.
 *
 * U2 may come after the next holder has unlocked the table and given it up: so a table is unlocked
 * in an RCU read section, which keeps its memory.
 */
#ifndef MM_TABLE_LOCK_H
#define MM_TABLE_LOCK_H

#include "../platform/platform.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mm__table_lock {
	_Atomic(uint64_t) word; /* 1: locked */
	_Atomic(uint32_t) waiters;
};

static inline void mm__table_lock_init(struct mm__table_lock *lock)
{
	atomic_init(&lock->word, 0);
	atomic_init(&lock->waiters, 0);
}

/* table_lock.c */
void mm__table_lock_wait(struct mm__table_lock *lock);
void mm__table_lock_wake(struct mm__table_lock *lock);

static inline bool mm__table_lock_try(struct mm__table_lock *lock)
{
	uint64_t unlocked = 0;

	/* acquire: pairs with [U1] */
	return atomic_compare_exchange_strong_explicit(&lock->word, &unlocked, 1,
						       memory_order_acquire, memory_order_relaxed);
}

static inline void mm__table_lock_take(struct mm__table_lock *lock)
{
	if (!mm__table_lock_try(lock))
		mm__table_lock_wait(lock);
}

static inline void mm__table_lock_drop(struct mm__table_lock *lock)
{
	/* release [U1]: pairs with the acquire of who takes it */
	atomic_store_explicit(&lock->word, 0, memory_order_release);
	mmrange__light_fence();
	/* relaxed [U2]: ordered by the fence */
	if (atomic_load_explicit(&lock->waiters, memory_order_relaxed))
		mm__table_lock_wake(lock);
}

#endif
