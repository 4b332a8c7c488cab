/* SPDX-License-Identifier: MIT */
/*
 * mm_munmap()
 */
#include "internal.h"

#include <errno.h>

static int cut(struct mm *mm, uint64_t start, uint64_t end)
{
	unsigned int adds = mm__cut_adds(mm, start, end);

	if ((adds && !mm__room_for_areas(mm, adds)) || mm__areas_reserve(mm, adds))
		return ENOMEM;
	mm__areas_cut(mm, start, end);
	return 0;
}

int mm_munmap(struct mm *mm, uint64_t addr, uint64_t length)
{
	struct mm__hold hold;
	uint64_t end;
	int error;

	if (!mm__page_aligned(addr) || !length || addr > MM_ADDR_MAX || length > MM_ADDR_MAX - addr)
		return EINVAL;
	end = addr + mm__page_align(length);
	mm__hold_write(mm, &hold, addr, end);
	mm__lock(mm);
	error = cut(mm, addr, end);
	mm__unlock(mm);
	if (!error)
		mm__pages_zap(&mm->page_table, addr, end);
	mm__release(mm, &hold);
	return error;
}
