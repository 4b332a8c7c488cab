/* SPDX-License-Identifier: MIT */
/*
 * table_lock - the lock of a page table above the lowest level, of a border node (vma_node.h), and
 * of a limbo (rcu.h). Locking takes one atomic operation, unlocking none.
 *
 *	unlocking                       waiting
 *	[TL-U1] word = 0, release       [TL-W1] waiters + 1
 *	        light fence                     heavy fence
 *	[TL-U2] waiters? wake one       [TL-W2] word is 0? lock it; else sleep while it is 1
 *
 * The fences are a pair: either TL-U2 sees TL-W1, or TL-W2 sees TL-U1. So no thread sleeps on a
 * word that is 0 and that no thread will change. A thread counts as a waiter until it has the lock.
 * So a thread that barges past a woken waiter wakes one again when it unlocks. The acquire of
 * locking pairs with TL-U1's release.
 *
 * A waiter pays for the heavy fence. That is rare: the lock is held for a few loads and stores,
 * unless the system has preempted its holder. Newcomers may pass waiters.
 *
 * TL-U2 may come after the next holder has unlocked the table or border node and freed it. So a
 * thread unlocks it in an RCU read section, which keeps the memory.
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

#ifdef MM__FLOOR
#include "floor.h"
#else
static inline bool mm__table_lock_try(struct mm__table_lock *lock)
{
	uint64_t unlocked = 0;

	/* acquire: pairs with [TL-U1] */
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
	/* release [TL-U1]: pairs with the acquire of the thread that locks next */
	atomic_store_explicit(&lock->word, 0, memory_order_release);
	mmrange__light_fence();
	/* relaxed [TL-U2]: ordered by the fence */
	if (atomic_load_explicit(&lock->waiters, memory_order_relaxed))
		mm__table_lock_wake(lock);
}
#endif

#endif
