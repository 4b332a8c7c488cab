/* SPDX-License-Identifier: MIT */
/*
 * attach - how a thread gets its per-thread state in an address space, and gives it back when it
 * ends.
 */
#ifndef MM_ATTACH_H
#define MM_ATTACH_H

#include "space.h"

/* 0 or ENOMEM */
int mm__threads_init(struct mm *mm);
/* Requires that no thread uses mm any more. */
void mm__threads_destroy(struct mm *mm);

/* Guards the lists of which thread uses which space: ATTACH in lock.h. */
void mm__attach_lock(void);
void mm__attach_unlock(void);

/*
 * Each thread caches the per-thread states of the spaces that it used last. attach.c has a table of
 * all the thread's states.
 */
struct mm__remembered {
	uint64_t id;
	struct mm__thread *thread;
};

#define MM__REMEMBERED 4u

extern MMRANGE__THREAD_LOCAL struct mm__remembered mm__remembered[MM__REMEMBERED];

/*
 * The calling thread's state in the space with this id. Makes it if the thread has none yet. NULL:
 * no memory, or too many threads. O(1) in the number of spaces.
 */
struct mm__thread *mm__thread_attach(struct mm *mm, uint64_t id);

/*
 * Registers the calling thread as a reader of RCU, as its first use of a space does. False: no
 * memory.
 */
bool mm__os_thread_attach(void);

/* Around fork(2); see child.c. */
void mm__threads_before_fork(void);
void mm__threads_after_fork(bool child);

static inline struct mm__thread *mm__thread(struct mm *mm, uint64_t id)
{
	const struct mm__remembered *slot = &mm__remembered[id % MM__REMEMBERED];

	return slot->id == id ? slot->thread : mm__thread_attach(mm, id);
}

/* The calling thread's state in the space. NULL: no memory, or too many threads. */
static inline struct mm__thread *mm__this_thread(struct mm *mm)
{
	return mm__thread(mm, mm->id);
}

/* The sums over all threads, including those that have ended. */
void mm__events(struct mm *mm, uint64_t sums[MM__NR_EVENTS]);

#endif
