/* SPDX-License-Identifier: MIT */
/*
 * entry_lock - the lock in an entry of a lowest page table: one bit of the entry itself. Threads
 * that use different pages write no common cache line for it, unless the pages' entries are in one
 * line.
 *
 *	unlocking                       waiting
 *	[EL-U1] entry without the bit   [EL-W1] waiters + 1
 *	        light fence                     heavy fence
 *	[EL-U2] waiters? wake those     [EL-W2] entry with the bit? sleep while it is unchanged
 *	        that sleep on the entry
 *
 * waiters is one word for all entries of a table. Threads only read it while none waits. The fences
 * are a pair: either EL-U2 sees EL-W1, or EL-W2 sees EL-U1. So no thread sleeps on an unlocked
 * entry that no thread will unlock. EL-U2 wakes all threads that sleep on the entry, because some
 * of them only wait to see it unlocked, and wake no other thread.
 *
 * Locking is a compare-and-swap that sets the bit and leaves the rest of the entry unchanged. It is
 * sequentially consistent: see [VMA-Q2] in vma.h and [PT-P2] in page_table.h for the loads that
 * must come after it. Its acquire pairs with EL-U1's release. A thread that finds the entry locked
 * may do something else instead of waiting, as a speculative fault does. A thread that waits is not
 * between mm__thread_enter() and mm__thread_leave(). A thread that has locked an entry waits for no
 * other lock of page tables, except for entries further up in the same table.
 *
 * EL-U2 may come after another thread has freed the table. So a thread keeps an entry locked only
 * within an RCU read section, which keeps the table's memory.
 */
#ifndef MM_ENTRY_LOCK_H
#define MM_ENTRY_LOCK_H

#include "../platform/platform.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MM__BUSY UINT64_C(64) /* the entry is locked */

/* entry_lock.c */

/* Waits until it sees the entry unlocked. */
void mm__entry_lock_wait(_Atomic(uint64_t) *entry, _Atomic(uint32_t) *waiters);
void mm__entry_lock_wake(_Atomic(uint64_t) *entry);

#ifdef MM__FLOOR
#include "floor.h"
#else
/* Locks the entry if it is equal to seen, which is an unlocked entry. */
bool mm__entry_lock_try(_Atomic(uint64_t) *entry, uint64_t seen);
/* Unlocks the entry. value: the new entry, without MM__BUSY. */
static inline void mm__entry_lock_drop(_Atomic(uint64_t) *entry, _Atomic(uint32_t) *waiters,
				       uint64_t value)
{
	/* release [EL-U1]: pairs with the acquire of the thread that locks or loads the entry */
	atomic_store_explicit(entry, value, memory_order_release);
	mmrange__light_fence();
	/* relaxed [EL-U2]: ordered by the fence */
	if (atomic_load_explicit(waiters, memory_order_relaxed))
		mm__entry_lock_wake(entry);
}

/* Stores value if the entry is equal to seen, which is an unlocked entry. */
static inline bool mm__entry_lock_replace(_Atomic(uint64_t) *entry, uint64_t seen, uint64_t value)
{
	/* release: pairs with the acquire of threads that load the entry. acquire: as locking */
	return atomic_compare_exchange_strong_explicit(entry, &seen, value, memory_order_acq_rel,
						       memory_order_relaxed);
}
#endif

/* Empties n entries that the thread has locked, given by their indexes. */
void mm__entry_lock_drop_all(_Atomic(uint64_t) *entry, const uint16_t *locked, unsigned int n,
			     _Atomic(uint32_t) *waiters);

#endif
