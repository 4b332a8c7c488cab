/* SPDX-License-Identifier: MIT */
/*
 * thread - a thread in an address space: what a processor would have of its own for it. A thread gets
 * one with its first use of the space, and gives it back when it ends. The next thread to begin gets
 * the same one: the space keeps its memory as long as it exists itself, so a thread may stop a thread by
 * its number without knowing whether a thread still uses it.
 *
 * What is in it is the thread's alone, between mm__thread_enter() and mm__thread_leave(): that costs two
 * stores and no atomic operation. Another thread that has to change it (to take a translation out
 * of its TLB, as an interrupt would on real hardware, or to take its free frames) stops it:
 *
 *	the thread                      a thread that stops it
 *	                                     takes the thread's stop lock
 *	[E1] busy = 1                   [S1] stopped = 1
 *	     light fence                     heavy fence
 *	[E2] stopped? then out, wait    [S2] wait until busy is 0
 *	     ..                              ..
 *	[E3] busy = 0, release          [S3] stopped = 0, and fenced = 1, release
 *	                                     drops the stop lock
 *
 * The fences are a pair: either E2 sees S1, or S2 sees E1. S2's acquire pairs with E3's release, so
 * that who stops sees what was done; E2's acquire pairs with S3's release, so that the thread sees
 * what was done to it. It waits by taking its own stop lock. Within the two nothing blocks and no lock
 * is taken: so a thread with a lock may stop another one, but not the one that it waits for. Only the
 * system may make a thread wait there, for memory that it has taken away, or for a page of a file,
 * which takes no lock of ours either.
 *
 * A heavy fence interrupts all processors that run threads of the process, and costs more than a
 * thousand fences of its own. So a thread that was stopped is fenced: it passes full fences from then on,
 * and needs no heavy one. Both bits are in one word:
 *
 *	a fenced thread                 a thread that stops it
 *	[E1] busy = 1                   [S1] stopped = 1, which was not, and fenced was 1
 *	[F1] full fence                      full fence
 *	[E2] stopped? then out, wait    [S2] wait until busy is 0
 *	[F2] after many entries: word = 0, if it is nothing but fenced
 *
 * S1 and F2 are atomic operations. A thread sees that it is fenced in the word that it loads anyway; then
 * it passes F1 and loads the word again.
 *
 * Claim: where S1 finds the thread fenced, S2 sees each E1 whose E2 has not seen S1. If that entry
 * passed F1, this fence and that of S1 are a pair. If not, its E2 found the word 0. From the S3 that
 * fenced the thread up to S1, the word is not 0, as an F2 in between would have left it unfenced. So E2
 * comes before the S1 of the stopping that fenced the thread, which found the word 0 and passed a heavy
 * fence: after that, all see E1. See tests/model/stopping.pml.
 *
 * A thread that stops several others takes their stop locks first, in the order of their numbers, and
 * passes one fence for all of them. It takes no other lock until it has let them go on. So two threads
 * that stop others wait for each other only where both stop the same one; and a thread that stops
 * others by their numbers writes to their lines and its own, and to no line of the space.
 *
 * The counters are written by the thread alone and read by anybody.
 */
#ifndef MM_THREAD_H
#define MM_THREAD_H

#include "../platform/platform.h"
#include "vma_tree.h"
#include "frames.h"
#include "lock.h"

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
	uint64_t page; /* the address with 1 added; 0: empty */
	uint64_t entry;
	void *file; /* of an entry with MM__COPY: the page of the file */
};

#define MM__TLB_ENTRIES 64u
#define MM__KEPT_TABLES 8u

#define MM__THREAD_INTERRUPTED 1u
#define MM__THREAD_FENCED  2u

struct mm__thread {
	/* What others only read. The first three stay from one thread to the next .. */
	_Alignas(128) _Atomic(uint32_t) busy;
	uint32_t number; /* in its space, from 1 */
	struct mm *mm;
	/* .. and from here to the stop lock, a thread that ends border nodes zeroes. */
	unsigned int fenced_entries; /* since it was stopped */
	struct mm__frame_cache cache;
	_Atomic(int64_t) room;     /* for VMAs, see room.c */
	_Atomic(int64_t) claim;    /* of an edit in progress */
	_Atomic(bool) claims;      /* there is one */
	bool exact;                /* it is an exact one */
	uint64_t place;            /* where mm_mmap() looks for one first, see place.c */
	struct mm__vma_look look; /* see mm__vma_tree_look() */
	struct mm_hold *held;      /* by mm_lock_range() */
	uint64_t empty_table[MM__KEPT_TABLES]; /* address with 1 added; see page_table.h */
	unsigned int next_empty;
	struct mm_hold coarse;
	struct range_hold whole; /* where the lock knows no ranges: see hold.c */
	enum range_mode whole_mode;
	struct mm__tlb_entry tlb[MM__TLB_ENTRIES];
	_Atomic(uint64_t) events[MM__NR_EVENTS];

	/* Who stops it. */
	_Alignas(128) pthread_mutex_t interrupt_lock;
	_Atomic(uint32_t) state;      /* MM__THREAD_INTERRUPTED, MM__THREAD_FENCED */
	struct mm__thread *next_interrupted; /* by the same thread */

	/* With the lock of the threads. */
	bool used; /* by a thread, or it is own_thread */

	/* With the attach lock. */
	struct mm__thread *next_of_thread;
	struct mm__thread **link_of_thread; /* NULL: it is of no thread */
	struct mm__thread *next_of_pool;
	struct mm__thread **link_of_pool;
};

/* In place of a number: any of the threads. */
#define MM__MANY_THREADS 0xffffu

/*
 * The threads of an address space by number, found without a lock: numbers 1 to 8 are in the first part,
 * and each further part has as many as all before it. Neither parts nor threads go before the space does.
 */
#define MM__THREAD_PARTS     14u
#define MM__THREADS_IN_FIRST 8u

/* The threads of an address space. */
struct mm__threads {
	_Alignas(128) pthread_mutex_t lock;
	uint32_t size; /* of all parts */
	uint32_t nr_free;
	uint16_t *free_numbers;       /* a stack */
	uint64_t past[MM__NR_EVENTS]; /* what threads counted that have ended */

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

/* What numbers come before those of the part. */
static inline uint32_t mm__threads_before_part(unsigned int part)
{
	return part ? MM__THREADS_IN_FIRST << (part - 1) : 0;
}

/* The thread with this number, which is at most size; NULL: none has been made yet. */
static inline struct mm__thread *mm__thread_of(const struct mm__threads *threads, uint32_t number)
{
	unsigned int part = mm__thread_part(number);
	/* acquire: pairs with the release in attach.c, as does the next */
	_Atomic(struct mm__thread *) *thread =
		atomic_load_explicit(&threads->part[part], memory_order_acquire);

	return atomic_load_explicit(&thread[number - 1 - mm__threads_before_part(part)], memory_order_acquire);
}

/* 0 or ENOMEM */
int mm__threads_init(struct mm *mm);
/* Nobody uses mm any more. */
void mm__threads_destroy(struct mm *mm);

/* Before all others; see lock.h. */
extern pthread_mutex_t mm__attach_lock;

/* What a thread remembers of the spaces that it uses: the last ones here, all of them in attach.c. */
struct mm__remembered {
	uint64_t id;
	struct mm__thread *thread;
};

#define MM__REMEMBERED 4u

extern MMRANGE__THREAD_LOCAL struct mm__remembered mm__remembered[MM__REMEMBERED];

/*
 * The thread of the calling thread in the space with this number, made if it has none yet. NULL: no
 * memory, or too many threads. O(1), whatever the number of spaces.
 */
struct mm__thread *mm__thread_attach(struct mm *mm, uint64_t id);

/* Makes the calling thread a reader of RCU, as its first use of a space does. False: no memory. */
bool mm__os_thread_attach(void);

/* Around fork(2); see child.c. */
void mm__threads_before_fork(void);
void mm__threads_after_fork(bool child);
/* Whether fork(2) is handled; tries again if it could not be. With the attach lock. */
bool mm__children_handled(void);

static inline struct mm__thread *mm__thread(struct mm *mm, uint64_t id)
{
	const struct mm__remembered *slot = &mm__remembered[id % MM__REMEMBERED];

	return slot->id == id ? slot->thread : mm__thread_attach(mm, id);
}

/* Waits until the threads that have stopped this one let it go on. */
void mm__thread_wait_resumed(struct mm__thread *thread);

/* Whether the thread, which has said that it is busy and is stopped or fenced, may go on. */
bool mm__thread_pass_fenced(struct mm__thread *thread);

static inline void mm__thread_enter(struct mm__thread *thread)
{
	while (MM__LOCKING) {
		/* relaxed [E1]: ordered by the fence */
		atomic_store_explicit(&thread->busy, 1, memory_order_relaxed);
		mmrange__light_fence();
		/* acquire [E2]: pairs with [S3] */
		if (!atomic_load_explicit(&thread->state, memory_order_acquire) ||
		    mm__thread_pass_fenced(thread))
			return;
		atomic_store_explicit(&thread->busy, 0, memory_order_release);
		mm__thread_wait_resumed(thread);
	}
}

static inline void mm__thread_leave(struct mm__thread *thread)
{
	/* release [E3]: pairs with [S2] */
	if (MM__LOCKING)
		atomic_store_explicit(&thread->busy, 0, memory_order_release);
}

static inline struct mm__tlb_entry *mm__tlb_slot(struct mm__thread *thread, uint64_t page)
{
	return &thread->tlb[page >> MM_PAGE_SHIFT & (MM__TLB_ENTRIES - 1)];
}

/*
 * Puts an entry into the TLB, while the thread has it locked in its table: so a thread that takes it out of
 * the table stops this thread later.
 */
static inline void mm__tlb_insert(struct mm__thread *thread, uint64_t page, uint64_t entry, void *file)
{
	mm__thread_enter(thread);
	*mm__tlb_slot(thread, page) = (struct mm__tlb_entry){ page + 1, entry, file };
	mm__thread_leave(thread);
}

/* mmrange__heavy_fence(), without which there is no going on. */
void mm__heavy_fence(void);

/* Which threads have to be stopped. */
struct mm__thread_set {
	bool all;
	unsigned int count;
	uint16_t number[8]; /* ascending */
};

static inline void mm__thread_set_add(struct mm__thread_set *set, uint32_t number)
{
	unsigned int i = set->count;

	if (!number || set->all)
		return;
	while (i && set->number[i - 1] > number)
		i--;
	if (i && set->number[i - 1] == number)
		return;
	if (number == MM__MANY_THREADS || set->count == sizeof(set->number) / sizeof(set->number[0])) {
		set->all = true;
		return;
	}
	for (unsigned int k = set->count++; k > i; k--)
		set->number[k] = set->number[k - 1];
	set->number[i] = (uint16_t)number;
}

/*
 * Takes [start, end) out of the TLBs of these threads, and returns when none of them can use it any
 * more. The caller is thread.
 */
void mm__tlb_flush(struct mm *mm, struct mm__thread *thread, const struct mm__thread_set *set,
		   uint64_t start, uint64_t end);

/*
 * Stops all threads of the space, so that all are stopped at the same time, then calls visit for the
 * thread of each, the caller's and the space's own too, and lets them go on. Threads neither begin nor end
 * meanwhile: the lock of the threads is held, which visit must know. The caller is not between
 * mm__thread_enter() and mm__thread_leave(), nor is visit.
 */
void mm__threads_interrupt_all(struct mm *mm, void (*visit)(struct mm__thread *thread, void *arg), void *arg);
/* The same without stopping them. */
void mm__threads_for_each(struct mm *mm, void (*visit)(struct mm__thread *thread, void *arg), void *arg);

/* A frame with zeroes and one reference. NULL: the thread has none at hand. */
static inline struct mm__frame *mm__thread_frame(struct mm__thread *thread)
{
	struct mm__frame *frame;

	mm__thread_enter(thread);
	frame = mm__frame_cache_get(&thread->cache);
	mm__thread_leave(thread);
	return frame;
}

/*
 * Gets the thread free frames from the pool, and where it has none, from all other threads. 0 or
 * ENOMEM. May block. Not in an RCU read section.
 */
int mm__thread_refill(struct mm__thread *thread);
/* Lets the pool have all frames that are free, or are about to be. Blocks. */
void mm__thread_reclaim(struct mm__thread *thread);

/* A frame with zeroes, if the pool and its threads have any. NULL: none. Not in an RCU read section. */
struct mm__frame *mm__pool_take_frame(struct mm__frames *pool);

/* Drops a reference of each of n frames. The array is used up. */
void mm__thread_drop_frames(struct mm__thread *thread, struct mm__frame **frames, unsigned int n);

static inline void mm__count_many(struct mm__thread *thread, unsigned int event, uint64_t n)
{
	_Atomic(uint64_t) *counter = &thread->events[event];

	/* relaxed: nobody else writes it, and who reads it wants no order */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static inline void mm__count(struct mm__thread *thread, unsigned int event)
{
	mm__count_many(thread, event, 1);
}

/* The sum over all threads, of now and of the past. */
void mm__events(struct mm *mm, uint64_t sums[MM__NR_EVENTS]);

/* The frames of the pool that are in use: exact, if no thread uses its spaces meanwhile. */
uint64_t mm__frames_used(struct mm__frames *pool);

#endif
