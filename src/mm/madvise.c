/* SPDX-License-Identifier: MIT */
/*
 * mm_madvise(). The range is held for reading: faults may put pages in while others are taken out,
 * and which of the two came first is decided by the lock of the table.
 */
#include "internal.h"

#include <errno.h>

/* The next area that has something in [*start, end), with both set to that part. */
static bool next_part(struct mm *mm, uint64_t *start, uint64_t *end, int *flags)
{
	const struct mm__area *area;
	bool found;

	mm__lock(mm);
	area = mm__area_tree_find(&mm->areas, *start);
	found = area && area->start < *end;
	if (found) {
		*start = mm__max(*start, area->start);
		*end = mm__min(*end, area->end);
		*flags = area->flags;
	}
	mm__unlock(mm);
	return found;
}

static int dontneed(struct mm *mm, uint64_t addr, uint64_t end)
{
	int error = 0;

	while (addr < end) {
		uint64_t start = addr;
		uint64_t stop = end;
		int flags;

		if (!next_part(mm, &start, &stop, &flags))
			return ENOMEM;
		if (start > addr)
			error = ENOMEM;
		/* What a shared area shows is not in its pages only, so that it would survive. */
		if (flags & MM_MAP_PRIVATE)
			mm__pages_zap(&mm->page_table, start, stop);
		addr = stop;
	}
	return error;
}

int mm_madvise(struct mm *mm, uint64_t addr, uint64_t length, int advice)
{
	struct mm__hold hold;
	uint64_t aligned = mm__page_align(length);
	uint64_t end = addr + aligned;
	int error;

	if (advice != MM_MADV_DONTNEED || !mm__page_aligned(addr) || (length && !aligned) ||
	    end < addr)
		return EINVAL;
	if (end == addr)
		return 0;
	mm__hold_read(mm, &hold, addr, end);
	error = dontneed(mm, addr, end);
	mm__release(mm, &hold);
	return error;
}
