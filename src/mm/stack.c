/* SPDX-License-Identifier: MIT */
/*
 * Stacks: how far an area with MM_MAP_GROWSDOWN grows, and the gap below it. As Linux's
 * expand_downwards() and vm_start_gap(). With the mm lock held, but for growing.
 */
#include "internal.h"

/* Where the area begins, with the gap if it is a stack. */
static uint64_t start_of_gap(const struct mm__mapping *m)
{
	return mm__area_flags(m->area) & MM_MAP_GROWSDOWN
		       ? m->start - mm__min(m->start, MM_STACK_GAP)
		       : m->start;
}

bool mm__place_free(const struct mm *mm, uint64_t start, uint64_t end)
{
	struct mm__mapping m;

	return !mm__area_tree_find(&mm->areas, start, &m) || start_of_gap(&m) >= end;
}

bool mm__place_still_free(const struct mm__edit *edit, uint64_t start, uint64_t end)
{
	struct mm__mapping m;

	return !mm__area_edit_find(&edit->tree, start, &m) || start_of_gap(&m) >= end;
}

void mm__note_stack(struct mm *mm)
{
	/* relaxed: a thread that does not see it may as well have looked before there was a stack */
	if (!mm__may_have_stacks(mm))
		atomic_store_explicit(&mm->stacks, true, memory_order_relaxed);
}

bool mm__may_have_stacks(const struct mm *mm)
{
	return atomic_load_explicit(&mm->stacks, memory_order_relaxed);
}

bool mm__place_is_decided(const struct mm__edit *edit, uint64_t start, uint64_t end)
{
	uint64_t reach = mm__area_edit_reach(&edit->tree);
	struct mm__mapping m;

	/* What begins at the end of the reach, or above, is a stack at worst. */
	return mm__area_edit_find(&edit->tree, start, &m) ||
	       (reach >= end && reach - end >= MM_STACK_GAP) || !mm__may_have_stacks(edit->cpu->mm);
}

/* From above; as Linux's unmapped_area_topdown(). */
static bool find_highest(struct mm *mm, uint64_t length, uint64_t *addr)
{
	uint64_t high = MM_ADDR_MAX;

	while (mm__area_tree_highest_gap(&mm->areas, length, MM_ADDR_MIN, high, addr)) {
		struct mm__mapping m;

		if (!mm__area_tree_find(&mm->areas, *addr, &m) ||
		    start_of_gap(&m) >= *addr + length)
			return true;
		high = start_of_gap(&m);
	}
	return false;
}

/* From below; as Linux's unmapped_area(). It looks only at the area that follows. */
static bool find_lowest(struct mm *mm, uint64_t length, uint64_t *addr)
{
	uint64_t low = MM_ADDR_MIN;

	while (mm__area_tree_lowest_gap(&mm->areas, length, low, MM_ADDR_MAX, addr)) {
		struct mm__mapping m;

		if (!mm__area_tree_find(&mm->areas, *addr, &m) ||
		    start_of_gap(&m) >= *addr + length)
			return true;
		low = m.end;
	}
	return false;
}

bool mm__find_place(struct mm *mm, uint64_t length, uint64_t *addr)
{
	return find_highest(mm, length, addr) || find_lowest(mm, length, addr);
}

/*
 * Whether the gap below the page is wide enough for a stack that begins there. Only the next area
 * below counts, and only if it can be accessed and is no stack itself.
 */
static bool keeps_gap(const struct mm *mm, uint64_t page)
{
	struct mm__mapping m = { 0, page - mm__min(page, MM_STACK_GAP), NULL };
	const struct mm__area *below = NULL;

	while (mm__area_tree_find(&mm->areas, m.end, &m) && m.start < page)
		below = m.area;
	return !below || mm__area_flags(below) & MM_MAP_GROWSDOWN || !mm__area_prot(below);
}

bool mm__stack_may_grow(const struct mm *mm, uint64_t page, struct mm__mapping *stack)
{
	return mm__area_tree_find(&mm->areas, page, stack) && stack->start > page &&
	       mm__area_flags(stack->area) & MM_MAP_GROWSDOWN && page >= MM_ADDR_MIN &&
	       stack->end - page <= MM_STACK_MAX && keeps_gap(mm, page);
}

int mm__stack_grow(struct mm__cpu *cpu, uint64_t page)
{
	struct mm__area_kind kind;
	struct mm__mapping stack;
	struct mm__edit edit;
	int error = 0;

	mm__lock_prepared(cpu, 0, 1);
	if (!mm__stack_may_grow(cpu->mm, page, &stack)) {
		mm__unlock_prepared(cpu);
		return 0;
	}
	kind = mm__kind_of(stack.area);
	mm__edit_in_mm_lock(&edit, cpu, page, stack.start, false);
	error = mm__edit_reserve(&edit, 0, 1);
	if (!error)
		mm__areas_put(&edit, page, stack.start, &kind);
	mm__edit_end(&edit);
	return error;
}
