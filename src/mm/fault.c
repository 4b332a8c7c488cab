/* SPDX-License-Identifier: MIT */
/*
 * Page faults. From the lookup of the area to the installation of its page, the page's range is
 * held for reading: so no operation changes the area or its page's protection in between. Another
 * fault may install the same page first, and a madvise may take it out again at once; both happen
 * under the lock of the table.
 */
#include "internal.h"

#include <errno.h>

static int segv(struct mm_siginfo *info, uint64_t addr, enum mm_fault_code code)
{
	if (info) {
		info->addr = addr;
		info->code = code;
	}
	return EFAULT;
}

/* What the area of addr says about an access. */
static int check_access(struct mm *mm, uint64_t addr, int access, int *prot,
			struct mm_siginfo *info)
{
	const struct mm__area *area;

	mm__lock(mm);
	area = mm__area_at(mm, addr);
	if (area)
		*prot = area->prot;
	mm__unlock(mm);
	if (!area)
		return segv(info, addr, MM_SEGV_MAPERR);
	return access & ~mm__effective_prot(*prot) ? segv(info, addr, MM_SEGV_ACCERR) : 0;
}

/* Makes the page present with this protection. */
static int make_present(struct mm *mm, uint64_t addr, int prot)
{
	struct mm__table *table = mm__table_make(&mm->page_table, addr);
	enum mm__event event = MM__FAULT_PRESENT;

	if (!table)
		return ENOMEM;
	/* relaxed: only whether there is a page; a madvise may take it out at any moment anyway */
	if (!atomic_load_explicit(mm__table_entry(table, addr), memory_order_relaxed)) {
		void *frame = mm__frame_alloc(&mm->frames);

		if (!frame)
			return ENOMEM;
		if (mm__page_install(table, addr, frame, prot))
			event = MM__FAULT_MINOR;
		else
			mm__frame_free(&mm->frames, frame);
	}
	mm__count_event(&mm->frames, event);
	return 0;
}

int mm__fault(struct mm *mm, uint64_t addr, int access, struct mm_siginfo *info)
{
	uint64_t page = mm__page_start(addr);
	int error = MM_ADDR_MAX > addr ? 0 : segv(info, addr, MM_SEGV_MAPERR);
	struct mm__hold hold;

	if (!error) {
		int prot;

		mm__hold_read(mm, &hold, page, page + MM_PAGE_SIZE);
		error = check_access(mm, addr, access, &prot, info);
		if (!error)
			error = make_present(mm, addr, prot);
		mm__release(mm, &hold);
	}
	if (error)
		mm__count_event(&mm->frames, MM__FAULT_FAILED);
	return error;
}

int mm_fault(struct mm *mm, uint64_t addr, int access, struct mm_siginfo *info)
{
	if (!access || access & ~MM__PROT_ALL)
		return EINVAL;
	return mm__fault(mm, addr, access, info);
}
