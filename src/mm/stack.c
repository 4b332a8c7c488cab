/* SPDX-License-Identifier: MIT */
/*
 * Stacks: how far a VMA with MM_MAP_GROWSDOWN grows, and the gap below it. As Linux's
 * expand_downwards() and vm_start_gap(). The callers hold the VMA tree lock, except to grow a
 * stack.
 */
#include "stack.h"

#include "page.h"
#include "vmas.h"

/* The start of the VMA, or of its gap if it is a stack. */
static uint64_t start_of_gap(const struct mm__mapping *m)
{
	return mm__vma_flags(m->vma) & MM_MAP_GROWSDOWN ? m->start - mm__min(m->start, MM_STACK_GAP)
							: m->start;
}

bool mm__place_free(const struct mm *mm, uint64_t start, uint64_t end)
{
	struct mm__mapping m;

	return !mm__vma_tree_find(&mm->vmas, start, &m) || start_of_gap(&m) >= end;
}

bool mm__place_still_free(const struct mm__edit *edit, uint64_t start, uint64_t end)
{
	struct mm__mapping m;

	return !mm__vma_edit_find(&edit->tree, start, &m) || start_of_gap(&m) >= end;
}

void mm__note_stack(struct mm *mm)
{
	/*
	 * relaxed: a thread that does not see the store could as well have looked before there was
	 * a stack
	 */
	if (!mm__may_have_stacks(mm))
		atomic_store_explicit(&mm->stacks, true, memory_order_relaxed);
}

bool mm__may_have_stacks(const struct mm *mm)
{
	return atomic_load_explicit(&mm->stacks, memory_order_relaxed);
}

bool mm__place_is_decided(const struct mm__edit *edit, uint64_t start, uint64_t end)
{
	uint64_t reach = mm__vma_edit_reach(&edit->tree);
	struct mm__mapping m;

	/* A mapping at the end of the reach, or above, might be a stack. */
	return mm__vma_edit_find(&edit->tree, start, &m) ||
	       (reach >= end && reach - end >= MM_STACK_GAP) ||
	       !mm__may_have_stacks(edit->thread->mm);
}

/* Searches downwards, as Linux's unmapped_area_topdown(). */
static bool find_highest(struct mm *mm, uint64_t length, uint64_t *addr)
{
	uint64_t high = MM_ADDR_MAX;

	while (mm__vma_tree_highest_gap(&mm->vmas, length, MM_ADDR_MIN, high, addr)) {
		struct mm__mapping m;

		if (!mm__vma_tree_find(&mm->vmas, *addr, &m) || start_of_gap(&m) >= *addr + length)
			return true;
		high = start_of_gap(&m);
	}
	return false;
}

/* Searches upwards, as Linux's unmapped_area(). It looks only at the VMA that follows. */
static bool find_lowest(struct mm *mm, uint64_t length, uint64_t *addr)
{
	uint64_t low = MM_ADDR_MIN;

	while (mm__vma_tree_lowest_gap(&mm->vmas, length, low, MM_ADDR_MAX, addr)) {
		struct mm__mapping m;

		if (!mm__vma_tree_find(&mm->vmas, *addr, &m) || start_of_gap(&m) >= *addr + length)
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
 * Whether the gap below the page is wide enough for a stack that begins there. Only the next VMA
 * below counts, and only if it can be accessed and is no stack itself.
 */
static bool keeps_gap(const struct mm *mm, uint64_t page)
{
	struct mm__mapping m = { 0, page - mm__min(page, MM_STACK_GAP), NULL };
	const struct mm__vma *below = NULL;

	while (mm__vma_tree_find(&mm->vmas, m.end, &m) && m.start < page)
		below = m.vma;
	return !below || mm__vma_flags(below) & MM_MAP_GROWSDOWN || !mm__vma_prot(below);
}

bool mm__stack_may_grow(const struct mm *mm, uint64_t page, struct mm__mapping *stack)
{
	return mm__vma_tree_find(&mm->vmas, page, stack) && stack->start > page &&
	       mm__vma_flags(stack->vma) & MM_MAP_GROWSDOWN && page >= MM_ADDR_MIN &&
	       stack->end - page <= MM_STACK_MAX && keeps_gap(mm, page);
}

int mm__stack_grow(struct mm__thread *thread, uint64_t page)
{
	struct mm__vma_kind kind;
	struct mm__mapping stack;
	struct mm__edit edit;
	int error = 0;

	mm__tree_lock_prepared(thread, 0, 1);
	if (!mm__stack_may_grow(thread->mm, page, &stack)) {
		mm__tree_unlock_prepared(thread);
		return 0;
	}
	kind = mm__kind_of(stack.vma);
	mm__edit_in_tree_lock(&edit, thread, page, stack.start, false);
	error = mm__edit_reserve(&edit, 0, 1);
	if (!error)
		mm__vmas_put(&edit, page, stack.start, &kind);
	mm__edit_end(&edit);
	return error;
}
