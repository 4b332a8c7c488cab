/* SPDX-License-Identifier: MIT */
/*
 * mm_munmap(): all areas go in one step, however many there are.
 */
#include "internal.h"

#include <errno.h>

static int unmap(struct mm__cpu *cpu, uint64_t start, uint64_t end)
{
	struct mm__cut cut = mm__cut_of(start, end);
	struct mm__garbage *removed;
	struct mm__edit edit;
	int error;

	mm__edit_begin(&edit, cpu, start, end, true);
	mm__areas_mark_all(&edit, &cut);
	error = mm__areas_remove(&edit, &cut);
	removed = mm__edit_end_removed(&edit);
	if (!error)
		mm__pages_zap(cpu->mm, cpu, start, end);
	mm__areas_free(removed);
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
	error = unmap(cpu, addr, end);
	mm__release(cpu, &hold);
	return error;
}
