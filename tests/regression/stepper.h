/* SPDX-License-Identifier: MIT */
/*
 * Threads that a test stops in the middle of an operation, to let others do something there. The
 * linker (--wrap) leads calls between the object files of the library through stepper.c, where the
 * thread stops if that is a point it was told to stop at. So the library has no hooks for it, what
 * happens in which order is given by the test alone, and each run is the same.
 *
 * A stopped thread holds what it held: in a fault, an RCU read section. So what waits for one to
 * end (mm_destroy(), mm__rcu_barrier()) has to wait until the thread has gone on.
 *
 * Failures of speculative faults in kernels that the tests of this folder repeat, each with a
 * variant of the library that lacks the one check, and has to fail (see variant.cmake):
 *
 *	a lost copy-on-write                                     mm_lost_copy.c
 *	fork() against threads that write through their TLBs     mm_fork_faults.c
 *	mremap() against faults at both places                   mm_move_faults.c
 *	a VMA freed, or replaced, under a fault; an entry
 *	installed after the zap                                  mm_stale_vma.c
 *	a page table freed under a fault                         mm_stale_table.c
 *	a frame freed, or an entry used, in spite of a flush; a
 *	lock waited for while a flush waits for who waits        mm_stale_tlb.c
 *	a stack that grows                                       mm_stack_faults.c
 *
 * Not here: sequence counts without release and acquire. What those order is in order anyway on
 * x86, so a run shows nothing there; it takes a model checker.
 */
#ifndef TESTS_STEPPER_H
#define TESTS_STEPPER_H

#include "mm/internal.h"
#include "spaces.h"
#include "threads.h"

enum point {
	AT_VMA = 1,           /* a VMA was found, and its count not looked at yet */
	AT_ENTRY = 2,          /* an entry is about to be locked, if it is as it was seen */
	AT_FRAME = 4,          /* a free frame is about to be taken: others have to wait for that */
	AT_RANGE_LOCK = 8,     /* a range is about to be locked */
	AT_RANGE_WAIT = 0x10,  /* and it is not free */
	AT_FLUSH = 0x20,       /* TLBs are about to be flushed */
	AFTER_FLUSH = 0x40,    /* and were */
	AT_ZAP = 0x80,         /* the pages of a range are about to be taken out */
	AFTER_ZAP = 0x100,     /* and were */
	AT_MOVE = 0x200,       /* pages are about to be moved, and the VMAs were */
	AT_YIELD = 0x400,      /* another thread is waited for */
	AT_ENTRY_WAIT = 0x800, /* another thread has locked the entry, and is waited for */
	AT_ENTRY_WAKE =
		0x1000,       /* an entry was unlocked in a table in which a thread waits for one */
	AT_RESUME_WAIT = 0x2000, /* the thread is stopped, as for a flush of its TLB */
	AFTER_ENTRY = 0x4000, /* an entry was locked, and nothing else looked at yet */
	PAUSED = 0x8000,      /* where the thread has called step_pause() */
	ENDED = 0x10000
};

struct stepper {
	void (*run)(struct stepper *self);
	struct mm *mm;
	struct mm *child; /* of mm_fork() */
	int result;
	struct mm__vma *vma; /* that it has found last */

	/* For stepper.c only. */
	struct mm__thread *cpu;
	pthread_t thread;
	unsigned int points;
	enum point at;
	bool ended;
	sem_t stopped;
	sem_t go;
};

/* Called, if it is not NULL, before each heavy fence of any thread. */
extern void (*step_at_fence)(void);

/* Starts a thread, and waits until it pauses, or ends. */
void step_start(struct stepper *thread, void (*run)(struct stepper *self), struct mm *mm);

/*
 * Lets it go on to one of these points, to its next pause, or to its end, and says to which. Who
 * has ended stays there.
 */
enum point step_to(struct stepper *thread, unsigned int points);

/* step_to() in two parts: in between, it may wait for something. */
void step_on(struct stepper *thread, unsigned int points);
enum point step_await(struct stepper *thread);

/* Lets it go on to its end; or awaits that, if it goes on already. */
void step_to_end(struct stepper *thread);
void step_await_end(struct stepper *thread);

/* By the thread: waits for the test. */
void step_pause(struct stepper *self);

/* The same, when it has what a speculative fault needs of its own: a cpu and free frames. */
void step_ready(struct stepper *self);

/* Tells whether this is freed. One at a time. */
void watch_free(const void *memory);
bool was_freed(void);

/* Until the one leaf of the tree has so many VMAs that the next change is one of a copy. */
void fill_leaf(struct mm *mm);

/* mm_fault(): 0, or minus the reason. */
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

/* The table of addr; nobody frees it meanwhile. */
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
