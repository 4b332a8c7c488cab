/* SPDX-License-Identifier: MIT */
/*
 * entry_lock - the lock in an entry of a lowest page table: a bit of the entry itself. Threads that use
 * different pages write no common line for it, unless the entries of the pages are in one line.
 *
 *	unlocking                       waiting
 *	[EL-U1] entry without the bit   [EL-W1] waiters + 1
 *	        light fence                     heavy fence
 *	[EL-U2] waiters? wake those     [EL-W2] entry with the bit? sleep as long as it stays as it is
 *	        that sleep on the entry
 *
 * waiters is one word for all entries of a table, which threads only read as long as none waits. The fences
 * are a pair: either EL-U2 sees EL-W1, or EL-W2 sees EL-U1. So no thread sleeps on an entry that is not
 * locked and that no thread will unlock. All that sleep on the entry are woken, as some of them only want to
 * see the entry unlocked, and wake no other.
 *
 * Locking is a compare-and-swap that sets the bit and border nodes the rest of the entry as it is. It is
 * sequentially consistent: see [Q2] in vma.h and [P2] in page_table.h for what has to be loaded after it.
 * Its acquire pairs with EL-U1's release. A thread that finds the entry locked may do something else
 * instead, as faults without the range do; a thread that waits is not between mm__thread_enter() and
 * mm__thread_leave(). A thread that has an entry locked waits for no other lock of page tables, but for
 * entries further up in the same table.
 *
 * EL-U2 may come after another thread has freed the table: so a thread has an entry locked in an RCU read
 * section only, which keeps the table's memory.
 */
#ifndef MM_ENTRY_LOCK_H
#define MM_ENTRY_LOCK_H

#include "../platform/platform.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MM__BUSY UINT64_C(64) /* the entry is locked */

/* entry_lock.c */

/* Locks the entry if it is seen, which is not locked. */
bool mm__entry_lock_try(_Atomic(uint64_t) *entry, uint64_t seen);
/* Returns when the entry was not locked. */
void mm__entry_lock_wait(_Atomic(uint64_t) *entry, _Atomic(uint32_t) *waiters);
void mm__entry_lock_wake(_Atomic(uint64_t) *entry);

/* value: without the bit. */
static inline void mm__entry_lock_drop(_Atomic(uint64_t) *entry, _Atomic(uint32_t) *waiters,
				       uint64_t value)
{
	/* release [EL-U1]: pairs with the acquire of who locks or loads the entry */
	atomic_store_explicit(entry, value, memory_order_release);
	mmrange__light_fence();
	/* relaxed [EL-U2]: ordered by the fence */
	if (atomic_load_explicit(waiters, memory_order_relaxed))
		mm__entry_lock_wake(entry);
}

/* Empties n entries that the thread has locked, given by their indexes. */
void mm__entry_lock_drop_all(_Atomic(uint64_t) *entry, const uint16_t *locked, unsigned int n,
			     _Atomic(uint32_t) *waiters);

#endif
