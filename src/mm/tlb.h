/* SPDX-License-Identifier: MIT */
/*
 * tlb - the TLB of each thread. A thread uses and fills its own TLB between mm__thread_enter() and
 * mm__thread_leave(). A thread that takes a translation away interrupts the threads that may have
 * it.
 */
#ifndef MM_TLB_H
#define MM_TLB_H

#include "thread.h"

static inline struct mm__tlb_entry *mm__tlb_slot(struct mm__thread *thread, uint64_t page)
{
	return &thread->tlb[page >> MM_PAGE_SHIFT & (MM__TLB_ENTRIES - 1)];
}

/*
 * Puts an entry into the thread's TLB. The thread has locked the entry in its page table. So a
 * thread that takes the entry out of the table interrupts this one only afterwards.
 */
static inline void mm__tlb_insert(struct mm__thread *thread, uint64_t page, uint64_t entry,
				  void *file)
{
	mm__thread_enter(thread);
	*mm__tlb_slot(thread, page) = (struct mm__tlb_entry){ page + 1, entry, file };
	mm__thread_leave(thread);
}

/* The threads to interrupt. */
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
	if (number == MM__MANY_THREADS ||
	    set->count == sizeof(set->number) / sizeof(set->number[0])) {
		set->all = true;
		return;
	}
	for (unsigned int k = set->count++; k > i; k--)
		set->number[k] = set->number[k - 1];
	set->number[i] = (uint16_t)number;
}

/*
 * Takes [start, end) out of the TLBs of these threads. When it returns, none of them can use such a
 * translation. thread is the calling thread's state.
 */
void mm__tlb_flush(struct mm *mm, struct mm__thread *thread, const struct mm__thread_set *set,
		   uint64_t start, uint64_t end);

#endif
