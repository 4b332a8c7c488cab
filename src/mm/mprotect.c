/* SPDX-License-Identifier: MIT */
/*
 * mm_mprotect(): area by area, up to the first hole, as in Linux.
 *
 * Where there are too many areas Linux may leave an area split although its protection was not
 * changed; here it is left whole.
 */
#include "internal.h"

#include <errno.h>

/*
 * How many more areas there are when a part of one has become *part; negative if it merges with
 * both neighbours.
 */
static int added_areas(const struct mm *mm, const struct mm__area *area,
		       const struct mm__area *part)
{
	const struct mm__area *left = mm__area_at(mm, part->start - 1);
	const struct mm__area *right = mm__area_at(mm, part->end);
	int added = (area->start < part->start) + (part->end < area->end);

	added -= left && mm__area_continues(left, part);
	added -= right && mm__area_continues(part, right);
	return added;
}

/*
 * Changes the area at *addr, as far as it lies below end, and says in *addr how far that was. With
 * the mm lock held.
 */
static int protect_area(struct mm *mm, uint64_t *addr, uint64_t end, int prot)
{
	const struct mm__area *area = mm__area_at(mm, *addr);
	struct mm__area part;
	int added;

	if (!area)
		return ENOMEM;
	part = mm__area_part(area, *addr, end);
	*addr = part.end;
	if (area->prot == prot)
		return 0;
	part.prot = prot;
	added = added_areas(mm, area, &part);
	if ((added > 0 && !mm__room_for_areas(mm, (uint64_t)added)) || mm__areas_reserve(mm, 2))
		return ENOMEM;
	mm__areas_cut(mm, part.start, part.end);
	mm__areas_put(mm, &part);
	return 0;
}

int mm_mprotect(struct mm *mm, uint64_t addr, uint64_t length, int prot)
{
	struct mm__hold hold;
	uint64_t end;
	int error = 0;

	if (!mm__page_aligned(addr))
		return EINVAL;
	if (!length)
		return 0;
	end = addr + mm__page_align(length);
	if (end <= addr)
		return ENOMEM;
	if (prot & ~MM__PROT_ALL)
		return EINVAL;
	mm__hold_write(mm, &hold, addr, end);
	while (addr < end && !error) {
		uint64_t start = addr;

		mm__lock(mm);
		error = protect_area(mm, &addr, end, prot);
		mm__unlock(mm);
		if (!error)
			mm__pages_protect(&mm->page_table, start, addr, prot);
	}
	mm__release(mm, &hold);
	return error;
}
