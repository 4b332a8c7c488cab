/* SPDX-License-Identifier: MIT */
/*
 * mm_munmap(): many areas go in parts, so that the mm lock is held for a short time, and not much
 * memory is needed at once.
 */
#include "internal.h"

#include <errno.h>

#define AREAS_AT_ONCE 64u

/* Where the part that begins at start is to end. With the mm lock held. */
static uint64_t part_end(const struct mm *mm, uint64_t start, uint64_t end)
{
	struct mm__mapping m = { 0, start, NULL };

	for (unsigned int i = 0; i < AREAS_AT_ONCE; i++)
		if (!mm__area_tree_find(&mm->areas, m.end, &m) || m.end >= end)
			return end;
	return m.end;
}

static int cut(struct mm *mm, uint64_t start, uint64_t end)
{
	unsigned int adds = mm__cut_adds(mm, start, end);

	if ((adds && !mm__room_for_areas(mm, adds)) || mm__areas_reserve(mm, start, end, 0))
		return ENOMEM;
	mm__areas_cut(mm, start, end);
	return 0;
}

/* Unmaps as much from *start on as is done at once, and moves *start up to what is left. */
static int unmap_part(struct mm__cpu *cpu, uint64_t *start, uint64_t end)
{
	struct mm *mm = cpu->mm;
	struct mm__garbage *removed;
	uint64_t stop;
	int error;

	mm__lock_prepared(mm);
	stop = part_end(mm, *start, end);
	error = cut(mm, *start, stop);
	removed = mm__unlock_removed(mm, cpu);
	if (!error)
		mm__pages_zap(mm, cpu, *start, stop);
	mm__areas_free(removed);
	*start = stop;
	return error;
}

int mm_munmap(struct mm *mm, uint64_t addr, uint64_t length)
{
	struct mm__cpu *cpu = mm__this_cpu(mm);
	struct mm__hold hold;
	uint64_t end;
	int error;

	if (!mm__page_aligned(addr) || !length || addr > MM_ADDR_MAX || length > MM_ADDR_MAX - addr)
		return EINVAL;
	end = addr + mm__page_align(length);
	error = cpu ? mm__hold_write(cpu, &hold, addr, end) : ENOMEM;
	if (error)
		return error;
	mm__sync_removed(cpu, addr, end);
	while (addr < end && !error)
		error = unmap_part(cpu, &addr, end);
	mm__release(cpu, &hold);
	return error;
}
