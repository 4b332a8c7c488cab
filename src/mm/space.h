/* SPDX-License-Identifier: MIT */
/*
 * The address space inside. Where to read: vma_tree.h (the VMAs of a space), vma.h (a VMA and its
 * sequence count), page_table.h and pages.h (the frames of pages), frames.h (the memory), thread.h
 * (the state of each thread), fault.c (how a fault uses the VMAs, the page table and the frames),
 * then one file per operation.
 *
 * Four locks, in this order; see lock.h for all:
 *
 * - the range that an operation works on, for as long as the operation takes (hold.h);
 * - the VMA tree lock, only while the shape of the VMA tree changes, or while a thread looks for a
 *   place. A thread that holds it waits for nothing;
 * - the lock of a border node of the VMA tree, while mappings in it change (edit.c);
 * - the lock of one entry of a page table, or of one table above the lowest level.
 *
 * An operation changes VMAs in place, with the lock of one border node, where it can, and with the
 * VMA tree lock elsewhere. It keeps no pointer to a VMA across the end of an edit, because a merge
 * may replace a VMA that lies beside the range that the operation holds. A fault looks VMAs up in
 * an RCU read section, with none of the first three locks.
 *
 * An operation prepares all that it needs before it changes anything, so that it does not fail
 * half-way. An operation that fails has changed nothing, unless its comment states otherwise.
 */
#ifndef MM_SPACE_H
#define MM_SPACE_H

#include "../platform/copy.h"
#include "frames.h"
#include "lock.h"
#include "page_table.h"
#include "thread.h"
#include "vma_tree.h"

#include <mmrange/mm.h>
#include <mmrange/range_lock.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mm {
	/* Constant, except for stacks. */
	struct mm_attr attr;
	uint64_t id;
	const void *copy; /* the copy of the library that made the space */
	bool forked;
	_Atomic(bool) stacks; /* there may be stacks; becomes true once */
	struct mm__frames *frames;

	struct mm__page_table page_table;

	_Alignas(128) pthread_mutex_t tree_lock; /* protects the fields up to the next comment */
	uint64_t tree_lock_taken; /* the time at which a thread took it, in nanoseconds */
	/* VMAs may lie apart that could be one, because there was no memory to merge them. */
	_Atomic(bool) unmerged;
	struct mm__vma_tree vmas; /* faults read it without the lock */

	/* For locking.c only. */
	_Alignas(128) struct range_lock range_lock;
	_Alignas(128) pthread_rwlock_t rwlock;

	/* See room.c. */
	_Alignas(128) pthread_mutex_t room_lock;
	int64_t room; /* with room_lock: the pool */

	/* The end of the heap, not rounded up: see brk.c. Other calls do not write this line. */
	_Alignas(128) _Atomic(uint64_t) brk;

	struct mm__threads threads;
	/* Belongs to no thread. A thread that has the space to itself uses it. */
	struct mm__thread *own_thread;
};

/* mm.c: creates a space. On success, the pool of frames belongs to the new space. */
int mm__create(struct mm **result, const struct mm_attr *attr, struct mm__frames *frames);

/*
 * Stops the process if another copy of the library made the space. That copy knows neither the
 * calling thread as a reader of RCU nor its TLB. For functions that do not need the thread's struct
 * mm__thread: mm__thread_attach() checks the copy, too.
 */
static inline void mm__check_copy(const struct mm *mm)
{
	if (mm->copy != &mmrange__copy)
		mmrange__copy_stop("address space", mm, mm->copy);
}

#endif
