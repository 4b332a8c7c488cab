/* SPDX-License-Identifier: MIT */
/*
 * mm_mprotect(): VMA by VMA, up to the first that cannot be changed, as in Linux.
 */
#include "attach.h"
#include "hold.h"
#include "page.h"
#include "vmas.h"

#include <errno.h>

static int change_protection(struct mm__vma_kind *kind, int prot)
{
	if ((prot & MM_PROT_WRITE && kind->flags & MM__VMA_NO_WRITE) ||
	    (prot & MM_PROT_EXEC && kind->flags & MM__VMA_NO_EXEC))
		return EACCES;
	kind->prot = prot;
	return 0;
}

int mm_mprotect(struct mm *mm, uint64_t addr, uint64_t length, int prot)
{
	struct mm__thread *thread = mm__this_thread(mm);
	struct mm__hold hold;
	uint64_t end;
	int error;

	if (!mm__page_aligned(addr))
		return EINVAL;
	if (!length)
		return 0;
	end = addr + mm__page_align(length);
	if (end <= addr)
		return ENOMEM;
	if (prot & ~MM__PROT_ALL)
		return EINVAL;
	error = thread ? mm__hold_write(thread, &hold, addr, end) : ENOMEM;
	if (error)
		return error;
	error = mm__vmas_change(thread, addr, end, change_protection, prot);
	mm__release(thread, &hold);
	return error;
}
