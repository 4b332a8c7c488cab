/* SPDX-License-Identifier: MIT */
/*
 * thread - the state that each thread has in each address space that it uses: its TLB, its free
 * frames, its counters. A thread gets a struct mm__thread, its per-thread state, when it first uses
 * the space, and gives it back when it ends. A thread that begins later reuses it. The space keeps
 * the memory of all per-thread states until the space is destroyed. So a thread may interrupt
 * another one by its number, without knowing whether a thread still has that number.
 *
 * Between mm__thread_enter() and mm__thread_leave(), the per-thread state belongs to its own thread
 * alone. The two cost two stores and no atomic operation. A thread that has to change the state of
 * another thread (to take a translation out of its TLB, as an interrupt does on real hardware, or
 * to take its free frames) interrupts that thread:
 *
 *	the thread                              a thread that interrupts it
 *	                                                     takes the thread's interrupt lock
 *	[THREAD-E1] busy = 1                    [THREAD-S1] interrupted = 1
 *	             light fence                             heavy fence
 *	[THREAD-E2] interrupted? leave, wait    [THREAD-S2] wait until busy is 0
 *	             ..                                      ..
 *	[THREAD-E3] busy = 0, release           [THREAD-S3] interrupted = 0, fenced = 1, release
 *	                                                     drops the interrupt lock
 *
 * The fences are a pair: either E2 sees S1, or S2 sees E1. S2's acquire pairs with E3's release, so
 * the interrupting thread sees what the interrupted thread has done. E2's acquire pairs with S3's
 * release, so the interrupted thread sees what was done to its state. An interrupted thread waits
 * by taking its own interrupt lock.
 *
 * Between enter and leave, a thread neither blocks nor takes a lock. So a thread that holds a lock
 * may interrupt another thread, but not the thread for which it waits itself. Only the system may
 * make a thread wait between enter and leave, for memory that it has paged out or for a page of a
 * file. Neither takes a lock of this library.
 *
 * A heavy fence interrupts all processors that run threads of the process, and costs more than a
 * thousand full fences. So a thread that was interrupted becomes fenced: from then on it passes
 * full fences, and a thread that interrupts it needs no heavy fence. Both bits are in one word:
 *
 *	a fenced thread                  a thread that interrupts it
 *	E1  busy = 1                     S1  interrupted = 1, was not set; fenced was 1
 *	[THREAD-F1] full fence               full fence
 *	E2  interrupted? leave, wait     S2  wait until busy is 0
 *	[THREAD-F2] after many entries: word = 0, if only fenced is set
 *
 * S1 and F2 are atomic read-modify-write operations. A thread loads the word anyway, and finds
 *there that it is fenced. It then passes F1 and loads the word again.
 *
 * Claim: if S1 finds the thread fenced, S2 sees each E1 whose E2 has not seen S1. Proof: If that
 * entry passed F1, this fence and the fence of S1 are a pair. If it did not, its E2 found the word
 * 0. From the S3 that fenced the thread until S1, the word is not 0, because an F2 in between would
 * have left the thread unfenced. So E2 comes before the earlier S1 that belongs to this S3. That S1
 * found the word 0, and its thread passed a heavy fence. After a heavy fence, all threads see E1.
 * See tests/model/stopping.pml.
 *
 * A thread that interrupts several threads first takes their interrupt locks, in the order of their
 * numbers, and passes one fence for all of them. It takes no other lock until it has resumed them.
 * So two interrupting threads wait for each other only if both interrupt the same thread. A thread
 * that interrupts others by their numbers writes to their cache lines and its own, and to no line
 * of the space.
 *
 * Only the thread itself writes its counters. Any thread may read them.
 */
#ifndef MM_THREAD_H
#define MM_THREAD_H

#include "../platform/platform.h"
#include "frames.h"
#include "lock.h"
#include "vma_tree.h"

#include <mmrange/mm.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum mm__event {
	MM__FAULT_PRESENT,
	MM__FAULT_FAILED,
	MM__SERVED_SPECULATIVE,
	MM__SERVED_RANGED,
	MM__SERVED_COARSE,
	MM__PAGE_IN,
	MM__PAGE_OUT,
	MM__TABLE_MADE,
	MM__TABLE_FREED,
	MM__FALLBACK,
	MM__HOLD_TIME = MM__FALLBACK + MM_NR_FALLBACKS,
	MM__NR_EVENTS = MM__HOLD_TIME + MM_NR_HOLD_TIMES
};

struct mm__tlb_entry {
	uint64_t page; /* the address with 1 added; 0: the slot is empty */
	uint64_t entry;
	void *file; /* of an entry with MM__COPY: the page of the file */
};

#define MM__TLB_ENTRIES 64u
#define MM__KEPT_TABLES 8u

#define MM__THREAD_INTERRUPTED 1u
#define MM__THREAD_FENCED      2u

struct mm__thread {
	/* Other threads only read this line. The first three fields stay when the thread ends. */
	_Alignas(128) _Atomic(uint32_t) busy;
	uint32_t number; /* in its space, from 1 */
	struct mm *mm;
	/* From here to the interrupt lock: a thread that ends clears its fields. */
	unsigned int fenced_entries; /* since it was last interrupted */
	struct mm__frame_cache cache;
	_Atomic(int64_t) room;    /* for VMAs, see room.c */
	_Atomic(int64_t) claim;   /* of an edit in progress, see room.c */
	_Atomic(bool) claims;     /* there is such an edit */
	bool exact;               /* the claim is exact */
	uint64_t place;           /* where mm_mmap() looks first for a free range, see place.c */
	struct mm__vma_look look; /* see mm__vma_tree_look() */
	struct mm_hold *held;     /* by mm_lock_range() */
	uint64_t empty_table[MM__KEPT_TABLES]; /* address with 1 added; see page_table.h */
	unsigned int next_empty;
	struct mm_hold coarse;
	struct range_hold whole; /* where the lock knows no ranges: see lock_range.c */
	enum range_mode whole_mode;
	struct mm__tlb_entry tlb[MM__TLB_ENTRIES];
	_Atomic(uint64_t) events[MM__NR_EVENTS];

	/* Written by threads that interrupt this one. */
	_Alignas(128) pthread_mutex_t interrupt_lock;
	_Atomic(uint32_t) state;             /* MM__THREAD_INTERRUPTED, MM__THREAD_FENCED */
	struct mm__thread *next_interrupted; /* of those that one thread interrupts together */

	/* With the lock of struct mm__threads. */
	bool used; /* a thread has it, or it is own_thread */

	/* With the attach lock. */
	struct mm__thread *next_of_thread;
	struct mm__thread **link_of_thread; /* NULL: no thread has it */
	struct mm__thread *next_of_pool;
	struct mm__thread **link_of_pool;
};

/* In place of a thread's number: any of the threads. */
#define MM__MANY_THREADS 0xffffu

/*
 * A table of the per-thread states of an address space by number. A lookup takes no lock. Numbers 1
 * to 8 are in the first part; each further part is as large as all parts before it together. Parts
 * and per-thread states stay until the space is destroyed.
 */
#define MM__THREAD_PARTS     14u
#define MM__THREADS_IN_FIRST 8u

/* The threads that use an address space. */
struct mm__threads {
	_Alignas(128) pthread_mutex_t lock;
	uint32_t size; /* of all parts */
	uint32_t nr_free;
	uint16_t *free_numbers;       /* a stack */
	uint64_t past[MM__NR_EVENTS]; /* the counts of threads that have ended */

	/* Written with the lock. */
	_Alignas(128) _Atomic(_Atomic(struct mm__thread *) *) part[MM__THREAD_PARTS];
};

static inline unsigned int mm__thread_part(uint32_t number)
{
	unsigned int part = 0;

	for (uint32_t before = (number - 1) / MM__THREADS_IN_FIRST; before; before >>= 1)
		part++;
	return part;
}

/* How many numbers lie in the parts before this one. */
static inline uint32_t mm__threads_before_part(unsigned int part)
{
	return part ? MM__THREADS_IN_FIRST << (part - 1) : 0;
}

/* The per-thread state with this number, which is at most size. NULL: none was made yet. */
static inline struct mm__thread *mm__thread_of(const struct mm__threads *threads, uint32_t number)
{
	unsigned int part = mm__thread_part(number);
	/* acquire, here and below: pairs with the releases in attach.c */
	_Atomic(struct mm__thread *) *thread =
		atomic_load_explicit(&threads->part[part], memory_order_acquire);

	return atomic_load_explicit(&thread[number - 1 - mm__threads_before_part(part)],
				    memory_order_acquire);
}

/* Waits for a short time. Returns whether the thread is not interrupted any more. */
bool mm__thread_spin(const struct mm__thread *thread);

/* Waits until the threads that have interrupted this thread have resumed it. */
void mm__thread_wait_resumed(struct mm__thread *thread);

/*
 * For a thread that has set busy and found itself interrupted or fenced: passes the fence, and
 * returns whether the thread may enter.
 */
bool mm__thread_pass_fenced(struct mm__thread *thread);

#ifndef MM__FLOOR
static inline void mm__thread_enter(struct mm__thread *thread)
{
	for (;;) {
		/* relaxed [THREAD-E1]: ordered by the fence */
		atomic_store_explicit(&thread->busy, 1, memory_order_relaxed);
		mmrange__light_fence();
		/* acquire [THREAD-E2]: pairs with [THREAD-S3] */
		if (!atomic_load_explicit(&thread->state, memory_order_acquire) ||
		    mm__thread_pass_fenced(thread))
			return;
		atomic_store_explicit(&thread->busy, 0, memory_order_release);
		mm__thread_wait_resumed(thread);
	}
}

static inline void mm__thread_leave(struct mm__thread *thread)
{
	/* release [THREAD-E3]: pairs with [THREAD-S2] */
	atomic_store_explicit(&thread->busy, 0, memory_order_release);
}
#endif

static inline void mm__count_many(struct mm__thread *thread, unsigned int event, uint64_t n)
{
	_Atomic(uint64_t) *counter = &thread->events[event];

	/* relaxed: only this thread writes the counter, and its readers need no order */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static inline void mm__count(struct mm__thread *thread, unsigned int event)
{
	mm__count_many(thread, event, 1);
}

#endif
