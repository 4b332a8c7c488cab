/* SPDX-License-Identifier: MIT */
/*
 * Places of threads, for MM_PLACEMENT_THREAD. Each thread looks first in a part of the address
 * space that depends on its number, as each thread of glibc's malloc() has an arena. A search looks
 * at the border node of the VMA tree where the thread has mapped last, and writes nothing that
 * another thread writes. If that border node has no room, the thread takes the VMA tree lock and
 * searches its whole place.
 *
 * Places are not reserved. Any thread may map memory in any place, and threads whose numbers differ
 * by the number of places share one.
 */
#include "place.h"

#include "page.h"
#include "stack.h"
#include "tree_lock.h"

#define PLACE_SHIFT 36
#define NR_PLACES   1024u

static uint64_t end_of_place(const struct mm__thread *thread)
{
	uint64_t last = MM_ADDR_MAX >> PLACE_SHIFT;

	return mm__min((last + 1 - (thread->number - 1) % NR_PLACES) << PLACE_SHIFT, MM_ADDR_MAX);
}

static uint64_t start_of_place(const struct mm__thread *thread)
{
	return (end_of_place(thread) - 1) >> PLACE_SHIFT << PLACE_SHIFT;
}

static bool look_in_border(struct mm__thread *thread, uint64_t length, uint64_t *addr)
{
	uint64_t end = end_of_place(thread);
	bool found;

	*addr = thread->place ? thread->place : end - 1;
	mm__rcu_read_lock();
	found = mm__vma_tree_border_gap(&thread->mm->vmas, length, start_of_place(thread), end,
					MM_STACK_GAP, addr);
	mm__rcu_read_unlock();
	/* A border node may begin anywhere in a page. */
	*addr = mm__page_start(*addr);
	return found;
}

static bool look_everywhere(struct mm__thread *thread, uint64_t length, uint64_t *addr)
{
	struct mm *mm = thread->mm;
	bool found;

	mm__tree_lock(mm);
	found = mm__vma_tree_highest_gap(&mm->vmas, length, start_of_place(thread),
					 end_of_place(thread), addr) &&
		mm__place_free(mm, *addr, *addr + length);
	mm__tree_unlock(mm, thread);
	return found;
}

bool mm__find_own_place(struct mm__thread *thread, uint64_t length, uint64_t *addr)
{
	if (!look_in_border(thread, length, addr) && !look_everywhere(thread, length, addr))
		return false;
	thread->place = *addr;
	return true;
}
