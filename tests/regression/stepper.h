/* SPDX-License-Identifier: MIT */
/*
 * Threads that a test stops in the middle of an operation, so that other threads can act there. The
 * linker (--wrap) redirects calls between the object files of the library through stepper.c. There
 * a thread stops if the test told it to stop at that point. So the library needs no hooks, the test
 * alone decides the order of events, and each run is the same.
 *
 * A stopped thread keeps its locks, and in a fault its RCU read section. A function that
 * waits for readers (mm_destroy(), mm__rcu_barrier()) therefore waits until the thread continues.
 *
 * The tests of this folder repeat failures of speculative faults in kernels. For each there is a
 * variant of the library that lacks the one check against it, and must fail (see variant.cmake):
 *
 *	a lost copy-on-write                                     mm_lost_copy.c
 *	fork() against threads that write through their TLBs     mm_fork_faults.c
 *	mremap() against faults at both places                   mm_move_faults.c
 *	a VMA freed, or replaced, under a fault; an entry
 *	installed after the zap                                  mm_stale_vma.c
 *	a page table freed under a fault                         mm_stale_table.c
 *	a frame freed, or an entry used, in spite of a flush; a
 *	wait for a lock whose holder's flush waits for the
 *	waiter                                                   mm_stale_tlb.c
 *	a stack that grows                                       mm_stack_faults.c
 *
 * Not here: sequence counts without release and acquire. x86 keeps that order anyway, so a run on
 * x86 cannot show a missing one. The models in tests/model check these orders.
 */
#ifndef TESTS_STEPPER_H
#define TESTS_STEPPER_H

#include "mm/space.h"
#include "mm/vma.h"
#include "spaces.h"
#include "threads.h"

enum point {
	AT_VMA = 1,   /* the fault has found a VMA, and not looked at its count yet */
	AT_ENTRY = 2, /* the fault is about to lock an entry, if the entry is as the fault saw it */
	AT_FRAME =
		4, /* the thread is about to take a free frame, and cannot be interrupted there */
	AT_RANGE_LOCK = 8,       /* the thread is about to lock a range */
	AT_RANGE_WAIT = 0x10,    /* .. and another thread holds the range */
	AT_FLUSH = 0x20,         /* the thread is about to flush TLBs */
	AFTER_FLUSH = 0x40,      /* .. and has flushed them */
	AT_ZAP = 0x80,           /* the thread is about to take out the pages of a range */
	AFTER_ZAP = 0x100,       /* .. and has taken them out */
	AT_MOVE = 0x200,         /* the thread has moved VMAs, and is about to move their pages */
	AT_YIELD = 0x400,        /* the thread waits for another one */
	AT_ENTRY_WAIT = 0x800,   /* the thread waits for an entry that another thread has locked */
	AT_ENTRY_WAKE = 0x1000,  /* the thread has unlocked an entry, in a table in which a thread
				    waits for one */
	AT_RESUME_WAIT = 0x2000, /* the thread was interrupted, as for a flush of its TLB, and waits
				    to be resumed */
	AFTER_ENTRY = 0x4000,    /* the thread has locked an entry, and checked nothing else yet */
	AFTER_RANGE = 0x8000,    /* the thread has unlocked a range */
	AT_FREE = 0x10000,       /* the thread is about to free memory */
	PAUSED = 0x20000,        /* the thread has called step_pause() */
	ENDED = 0x40000
};

struct stepper {
	void (*run)(struct stepper *self);
	struct mm *mm;
	struct mm *child; /* from mm_fork() */
	int result;
	struct mm__vma *vma; /* the VMA that the thread found last */

	/* For stepper.c only. */
	struct mm__thread *mm_thread; /* its state in mm */
	pthread_t thread;
	unsigned int points;
	enum point at;
	bool ended;
	sem_t stopped;
	sem_t go;
};

/* If not NULL, each thread calls it before a heavy fence. */
extern void (*step_at_fence)(void);

/* Starts a thread, and waits until the thread pauses or ends. */
void step_start(struct stepper *thread, void (*run)(struct stepper *self), struct mm *mm);

/*
 * Lets the thread run to one of these points, to its next pause, or to its end; returns which. A
 * thread that has ended stays at its end.
 */
enum point step_to(struct stepper *thread, unsigned int points);

/* step_to() in two parts, between which the thread may wait for something. */
void step_on(struct stepper *thread, unsigned int points);
enum point step_await(struct stepper *thread);

/* Lets the thread run to its end, or waits for its end if the thread is running already. */
void step_to_end(struct stepper *thread);
void step_await_end(struct stepper *thread);

/* Two threads, of which one waits for the other: lets both run to their ends. */
void step_to_ends(struct stepper *first, struct stepper *waiter);

/*
 * Interrupts the thread, as a flush of its TLB does, and lets it run until it waits to be resumed.
 * A fault that has locked an entry then has made all its checks, and has not unlocked the entry.
 */
void step_interrupt(struct stepper *thread);
void step_resume(struct stepper *thread);

/* Starts a thread that faults to write to page 0, and lets it run to this point. */
void start_write_fault(struct stepper *thread, struct mm *mm, enum point point);
/* The function of such a thread. Its result is that of touch(). */
void write_fault(struct stepper *self);

/* Called by the thread: waits for the test. */
void step_pause(struct stepper *self);

/*
 * Like step_pause(), when the thread has all that a speculative fault needs: its state and free
 * frames.
 */
void step_ready(struct stepper *self);

/* From now on, was_freed() tells whether this memory was freed. Watches one object at a time. */
void watch_free(const void *memory);
bool was_freed(void);

/* Fills the one border node of the tree, so that the next change replaces it by a copy. */
void fill_border(struct mm *mm);

/* mm_fault(): returns 0, or the reason, negated. */
static inline int touch(struct mm *mm, uint64_t addr, int access)
{
	struct mm_siginfo info = { 0, MM_SEGV_MAPERR };
	int error = mm_fault(mm, addr, access, &info);

	CHECK(!error || error == EFAULT);
	return error ? -(int)info.code : 0;
}

static inline void unmap(struct mm *mm, unsigned int first, unsigned int n)
{
	CHECK_EQ(mm_munmap(mm, AT(first), PAGES(n)), 0);
}

/* Moves a page. */
static inline void move(struct mm *mm, unsigned int from, unsigned int to)
{
	uint64_t result;

	CHECK_EQ(mm_mremap(mm, AT(from), PAGES(1), PAGES(1), MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED,
			   AT(to), &result),
		 0);
}

static inline struct mm *fork_of(struct mm *mm)
{
	struct mm *child = NULL;

	CHECK_EQ(mm_fork(mm, &child), 0);
	return child;
}

static inline uint64_t fallbacks(struct mm *mm, enum mm_fallback reason)
{
	return stats_of(mm).fallbacks[reason];
}

/* The table of addr, which no thread may free meanwhile. */
static inline struct mm__table *table_at(struct mm *mm, uint64_t addr)
{
	struct mm__table *table;

	mm__rcu_read_lock();
	table = mm__table_find(&mm->page_table, addr);
	mm__rcu_read_unlock();
	CHECK(table);
	return table;
}

static inline uint64_t entry_at(struct mm *mm, uint64_t addr)
{
	return mm__entry_load(table_at(mm, addr), addr);
}

#endif
