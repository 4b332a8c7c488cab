/* SPDX-License-Identifier: MIT */
#include "tlb.h"

#include "interrupt.h"

static void wipe_slot(struct mm__tlb_entry *slot, uint64_t start, uint64_t end)
{
	if (slot->page > start && slot->page <= end)
		slot->page = 0;
}

/*
 * Looks only at slots where a page of [start, end) can be, because each look at another thread's
 * slot moves a cache line.
 */
static void wipe_tlb(struct mm__thread *thread, uint64_t start, uint64_t end)
{
	uint64_t pages = (end - start) >> MM_PAGE_SHIFT;

	if (pages > MM__TLB_ENTRIES)
		pages = MM__TLB_ENTRIES;
	for (uint64_t i = 0; i < pages; i++)
		wipe_slot(mm__tlb_slot(thread, start + (i << MM_PAGE_SHIFT)), start, end);
}

static void wipe_own(struct mm__thread *thread, uint64_t start, uint64_t end)
{
	mm__thread_enter(thread);
	wipe_tlb(thread, start, end);
	mm__thread_leave(thread);
}

static bool in_set(const struct mm__thread_set *set, uint32_t number)
{
	bool found = set->all;

	for (unsigned int i = 0; i < set->count && !found; i++)
		found = set->number[i] == number;
	return found;
}

/* A thread that begins afterwards finds the page table as the caller has changed it. */
static void interrupt_all_others(struct mm__interrupted *interrupted, struct mm *mm,
				 const struct mm__thread *self)
{
	mm__mutex_lock(&mm->threads.lock, MM__ORDER_THREADS);
	mm__interrupt_begin(interrupted);
	mm__interrupt_all_but(interrupted, &mm->threads, self);
	mm__mutex_unlock(&mm->threads.lock, MM__ORDER_THREADS);
}

/*
 * If the thread with a number has ended, its state is unused or belongs to a later thread. To
 * interrupt it does no harm.
 */
static void interrupt_set(struct mm__interrupted *interrupted, const struct mm *mm,
			  const struct mm__thread *self, const struct mm__thread_set *set)
{
	mm__interrupt_begin(interrupted);
	for (unsigned int i = 0; i < set->count; i++)
		if (set->number[i] != self->number)
			mm__interrupt(interrupted, mm__thread_of(&mm->threads, set->number[i]));
}

static void flush_others(struct mm *mm, const struct mm__thread *self,
			 const struct mm__thread_set *set, uint64_t start, uint64_t end)
{
	struct mm__interrupted interrupted;

	if (set->all)
		interrupt_all_others(&interrupted, mm, self);
	else
		interrupt_set(&interrupted, mm, self, set);
	mm__interrupt_fence(&interrupted);
	for (struct mm__thread *thread = interrupted.first; thread;) {
		mm__interrupt_await(thread);
		wipe_tlb(thread, start, end);
		thread = mm__interrupt_resume(thread);
	}
	mm__interrupt_end();
}

void mm__tlb_flush(struct mm *mm, struct mm__thread *thread, const struct mm__thread_set *set,
		   uint64_t start, uint64_t end)
{
	bool own = in_set(set, thread->number);

	if (own)
		wipe_own(thread, start, end);
	if (set->all || set->count > (own ? 1u : 0u))
		flush_others(mm, thread, set, start, end);
}
