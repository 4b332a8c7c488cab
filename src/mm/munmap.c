/* SPDX-License-Identifier: MIT */
/*
 * mm_munmap()
 */
#include "internal.h"

#include <errno.h>

static int cut(struct mm *mm, uint64_t start, uint64_t end)
{
	unsigned int adds = mm__cut_adds(mm, start, end);

	if ((adds && !mm__room_for_areas(mm, adds)) || mm__areas_reserve(mm, start, end, 0))
		return ENOMEM;
	mm__areas_cut(mm, start, end);
	return 0;
}

int mm_munmap(struct mm *mm, uint64_t addr, uint64_t length)
{
	struct mm__cpu *cpu = mm__this_cpu(mm);
	struct mm__garbage *removed;
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
	mm__lock_prepared(mm);
	error = cut(mm, addr, end);
	removed = mm__unlock_removed(mm, cpu);
	if (!error)
		mm__pages_zap(mm, cpu, addr, end);
	mm__rcu_free(removed);
	mm__release(cpu, &hold);
	return error;
}
