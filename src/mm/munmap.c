/* SPDX-License-Identifier: MIT */
/*
 * mm_munmap(): takes out all VMAs in one step, however many there are.
 */
#include "attach.h"
#include "hold.h"
#include "page.h"
#include "pages.h"
#include "vma_memory.h"
#include "vmas.h"

#include <errno.h>

static int unmap_range(struct mm__thread *thread, uint64_t start, uint64_t end)
{
	struct mm__cut cut = mm__cut_of(start, end);
	struct mm__garbage *removed;
	struct mm__edit edit;
	int error;

	mm__edit_begin(&edit, thread, start, end, true);
	mm__vmas_mark_all(&edit, &cut);
	error = mm__vmas_remove(&edit, &cut);
	removed = mm__edit_end_removed(&edit);
	if (!error)
		mm__pages_zap(thread->mm, thread, start, end);
	mm__vmas_free(removed);
	return error;
}

int mm_munmap(struct mm *mm, uint64_t addr, uint64_t length)
{
	struct mm__thread *thread = mm__this_thread(mm);
	struct mm__hold hold;
	uint64_t end;
	int error;

	if (!mm__page_aligned(addr) || !length || addr > MM_ADDR_MAX || length > MM_ADDR_MAX - addr)
		return EINVAL;
	end = addr + mm__page_align(length);
	error = thread ? mm__hold_write(thread, &hold, addr, end) : ENOMEM;
	if (error)
		return error;
	error = unmap_range(thread, addr, end);
	mm__release(thread, &hold);
	return error;
}
