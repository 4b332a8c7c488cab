/* SPDX-License-Identifier: MIT */
/*
 * What operations do to areas: cutting a range out of them, and putting one in, merged with its
 * neighbours as Linux merges them.
 *
 * Two areas that touch are one if they have the same protection and the same flags, among them
 * MM_MAP_NORESERVE and MM_MAP_STACK, as in Linux; shared areas only if they are parts of the same
 * mapping, in its order. Linux also keeps private areas apart for the sake of its reverse maps and
 * of its accounting of memory, depending on which pages were touched before and where they were
 * moved from. That is left out: here the areas follow from the operations alone, whatever the order
 * of operations elsewhere.
 */
#include "internal.h"

bool mm__area_continues(const struct mm__area *left, const struct mm__area *right)
{
	if (left->end != right->start || left->prot != right->prot || left->flags != right->flags)
		return false;
	if (left->flags & MM_MAP_PRIVATE)
		return true;
	return left->object == right->object &&
	       left->offset + (left->end - left->start) == right->offset;
}

const struct mm__area *mm__area_at(const struct mm *mm, uint64_t addr)
{
	const struct mm__area *area = mm__area_tree_find(&mm->areas, addr);

	return area && area->start <= addr ? area : NULL;
}

bool mm__range_free(const struct mm *mm, uint64_t start, uint64_t end)
{
	const struct mm__area *area = mm__area_tree_find(&mm->areas, start);

	return !area || area->start >= end;
}

bool mm__room_for_areas(const struct mm *mm, uint64_t more)
{
	return mm->areas.count <= mm->attr.max_areas &&
	       more <= mm->attr.max_areas - mm->areas.count;
}

unsigned int mm__cut_adds(const struct mm *mm, uint64_t start, uint64_t end)
{
	const struct mm__area *area = mm__area_at(mm, start);

	return area && area->start < start && end < area->end;
}

int mm__areas_reserve(struct mm *mm, unsigned int calls)
{
	return mm__area_tree_reserve(&mm->areas, calls);
}

struct mm__area mm__area_part(const struct mm__area *area, uint64_t start, uint64_t end)
{
	struct mm__area part = *area;

	part.start = mm__max(area->start, start);
	part.end = mm__min(area->end, end);
	part.offset += part.start - area->start;
	return part;
}

void mm__areas_cut(struct mm *mm, uint64_t start, uint64_t end)
{
	const struct mm__area *area;

	while ((area = mm__area_tree_find(&mm->areas, start)) && area->start < end) {
		struct mm__area left = mm__area_part(area, 0, start);
		struct mm__area right = mm__area_part(area, end, UINT64_MAX);
		uint64_t old_start = area->start;

		if (left.start < left.end) {
			mm__area_tree_change(&mm->areas, old_start, &left);
			if (right.start < right.end)
				mm__area_tree_insert(&mm->areas, &right);
		} else if (right.start < right.end) {
			mm__area_tree_change(&mm->areas, old_start, &right);
		} else {
			mm__area_tree_erase(&mm->areas, old_start);
		}
	}
}

void mm__areas_put(struct mm *mm, const struct mm__area *area)
{
	const struct mm__area *left = mm__area_at(mm, area->start - 1);
	const struct mm__area *right = mm__area_at(mm, area->end);
	struct mm__area whole = *area;
	uint64_t old_start = area->start;

	if (right && mm__area_continues(area, right)) {
		whole.end = right->end;
		old_start = right->start;
	}
	if (left && mm__area_continues(left, area)) {
		whole.start = left->start;
		whole.offset = left->offset;
		if (old_start != area->start)
			mm__area_tree_erase(&mm->areas, old_start);
		old_start = whole.start;
	}
	if (old_start != area->start)
		mm__area_tree_change(&mm->areas, old_start, &whole);
	else
		mm__area_tree_insert(&mm->areas, &whole);
}
