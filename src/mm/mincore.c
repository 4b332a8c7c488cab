/* SPDX-License-Identifier: MIT */
/*
 * mm_mincore(). The thread holds the range for reading, so that the VMAs stay as they are. Faults
 * may go on.
 */
#include "attach.h"
#include "hold.h"
#include "page.h"
#include "vmas.h"

#include <errno.h>
#include <string.h>

/* Whether VMAs cover [addr, end) without a hole. */
static bool is_mapped(struct mm__thread *thread, uint64_t addr, uint64_t end)
{
	bool mapped = true;

	while (addr < end && mapped) {
		struct mm__mapping m = { 0, end, NULL };

		mm__rcu_read_lock();
		mapped = mm__next_vma(thread, addr, end, &m) && m.start <= addr;
		mm__rcu_read_unlock();
		addr = m.end;
	}
	return mapped;
}

static void look_at_pages(struct mm *mm, uint64_t start, uint64_t end, unsigned char *vec)
{
	struct mm__table *table;
	uint64_t addr = start;

	memset(vec, 0, (size_t)((end - start) >> MM_PAGE_SHIFT));
	mm__rcu_read_lock();
	while ((table = mm__table_next(&mm->page_table, &addr, end))) {
		uint64_t stop = mm__min(end, mm__table_end(addr));

		for (; addr < stop; addr += MM_PAGE_SIZE)
			if (mm__entry_load(table, addr) & MM__PRESENT)
				vec[(addr - start) >> MM_PAGE_SHIFT] = 1;
	}
	mm__rcu_read_unlock();
}

int mm_mincore(struct mm *mm, uint64_t addr, uint64_t length, unsigned char *vec)
{
	struct mm__thread *thread = mm__this_thread(mm);
	struct mm__hold hold;
	uint64_t end;
	int error;

	if (!mm__page_aligned(addr))
		return EINVAL;
	if (addr > MM_ADDR_MAX || length > MM_ADDR_MAX - addr)
		return ENOMEM;
	if (!length)
		return 0;
	end = addr + mm__page_align(length);
	error = thread ? mm__hold_read(thread, &hold, addr, end) : ENOMEM;
	if (error)
		return error;
	if (is_mapped(thread, addr, end))
		look_at_pages(mm, addr, end, vec);
	else
		error = ENOMEM;
	mm__release(thread, &hold);
	mm__divide_if_strained(thread);
	return error;
}
