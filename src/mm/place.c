/* SPDX-License-Identifier: MIT */
/*
 * Places of threads, for MM_PLACEMENT_THREAD: each thread looks first in a part of the address space that
 * goes by its number, as each thread of glibc's malloc() has an arena. A search looks at one leaf of the area
 * tree, where the thread has mapped last: it writes nothing that another thread writes. Where that has no
 * room, the mm lock is taken, and all of the place is searched.
 *
 * Places are neither reserved nor kept: what lies in one may be mapped by any thread, and threads whose
 * numbers are so far apart as there are places share one.
 */
#include "internal.h"

#define PLACE_SHIFT 36
#define NR_PLACES   1024u

static uint64_t end_of_place(const struct mm__cpu *cpu)
{
	uint64_t last = MM_ADDR_MAX >> PLACE_SHIFT;

	return mm__min((last + 1 - (cpu->number - 1) % NR_PLACES) << PLACE_SHIFT, MM_ADDR_MAX);
}

static uint64_t start_of_place(const struct mm__cpu *cpu)
{
	return (end_of_place(cpu) - 1) >> PLACE_SHIFT << PLACE_SHIFT;
}

static bool look_in_leaf(struct mm__cpu *cpu, uint64_t length, uint64_t *addr)
{
	uint64_t end = end_of_place(cpu);
	bool found;

	*addr = cpu->place ? cpu->place : end - 1;
	mm__rcu_read_lock();
	found = mm__area_tree_leaf_gap(&cpu->mm->areas, length, start_of_place(cpu), end,
				       MM_STACK_GAP, addr);
	mm__rcu_read_unlock();
	/* A leaf may begin anywhere in a page. */
	*addr = mm__page_start(*addr);
	return found;
}

static bool look_everywhere(struct mm__cpu *cpu, uint64_t length, uint64_t *addr)
{
	struct mm *mm = cpu->mm;
	bool found;

	mm__lock(mm);
	found = mm__area_tree_highest_gap(&mm->areas, length, start_of_place(cpu),
					  end_of_place(cpu), addr) &&
		mm__place_free(mm, *addr, *addr + length);
	mm__unlock(mm, cpu);
	return found;
}

bool mm__find_own_place(struct mm__cpu *cpu, uint64_t length, uint64_t *addr)
{
	if (!look_in_leaf(cpu, length, addr) && !look_everywhere(cpu, length, addr))
		return false;
	cpu->place = *addr;
	return true;
}
