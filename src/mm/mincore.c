/* SPDX-License-Identifier: MIT */
/*
 * mm_mincore(). The range is held for reading, so that the areas stay as they are; faults may go
 * on.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

/* Whether [addr, end) is mapped without a hole. */
static bool is_mapped(struct mm *mm, uint64_t addr, uint64_t end)
{
	const struct mm__area *area;

	mm__lock(mm);
	while (addr < end && (area = mm__area_at(mm, addr)))
		addr = area->end;
	mm__unlock(mm);
	return addr >= end;
}

static void look(struct mm *mm, uint64_t start, uint64_t end, unsigned char *vec)
{
	struct mm__table *table;
	uint64_t addr = start;

	memset(vec, 0, (size_t)((end - start) >> MM_PAGE_SHIFT));
	while ((table = mm__table_next(&mm->page_table, &addr, end))) {
		uint64_t stop = mm__min(end, (addr | (MM__TABLE_SPAN - 1)) + 1);

		for (; addr < stop; addr += MM_PAGE_SIZE) {
			/* relaxed: only whether there is a page, which may change at once */
			if (atomic_load_explicit(mm__table_entry(table, addr),
						 memory_order_relaxed) &
			    MM__PRESENT)
				vec[(addr - start) >> MM_PAGE_SHIFT] = 1;
		}
	}
}

int mm_mincore(struct mm *mm, uint64_t addr, uint64_t length, unsigned char *vec)
{
	struct mm__hold hold;
	uint64_t end;
	int error = 0;

	if (!mm__page_aligned(addr))
		return EINVAL;
	if (addr > MM_ADDR_MAX || length > MM_ADDR_MAX - addr)
		return ENOMEM;
	if (!length)
		return 0;
	end = addr + mm__page_align(length);
	mm__hold_read(mm, &hold, addr, end);
	if (is_mapped(mm, addr, end))
		look(mm, addr, end, vec);
	else
		error = ENOMEM;
	mm__release(mm, &hold);
	return error;
}
