/* SPDX-License-Identifier: MIT */
/*
 * mm_msync(). The bytes that a thread wrote are in the file already, and read(2) finds them. This
 * function tells the system to store them.
 */
#include "attach.h"
#include "hold.h"
#include "inode.h"
#include "page.h"
#include "vmas.h"

#include <errno.h>

/* The part of [start, end) that the next VMA covers. */
struct part {
	uint64_t start;
	uint64_t end;
	int flags;
	struct mm__inode *inode; /* of a shared file, with a reference; otherwise NULL */
	uint64_t offset;
};

static bool next_part(struct mm__thread *thread, uint64_t start, uint64_t end, struct part *part)
{
	struct mm__mapping m;
	bool found;

	mm__rcu_read_lock();
	found = mm__next_vma(thread, start, end, &m);
	if (found) {
		const struct mm__vma *vma = m.vma;
		bool shared_file = vma->inode && mm__vma_flags(vma) & MM_MAP_SHARED;

		*part = (struct part){ mm__max(start, m.start), mm__min(end, m.end),
				       mm__vma_flags(vma), shared_file ? vma->inode : NULL,
				       vma->offset };
		if (part->inode)
			mm__inode_get(part->inode);
	}
	mm__rcu_read_unlock();
	return found;
}

static int sync_part(const struct part *part, int flags)
{
	int error = 0;

	if (!part->inode)
		return 0;
	mm__order_may_block("a file is written");
	/* MM_MS_ASYNC does nothing: the system starts such writes by itself. */
	if (flags & MM_MS_SYNC)
		error = mm__inode_sync(part->inode, (part->start + part->offset) >> MM_PAGE_SHIFT,
				       (part->end + part->offset) >> MM_PAGE_SHIFT);
	mm__inode_put(part->inode);
	return error;
}

static int sync_range(struct mm__thread *thread, uint64_t start, uint64_t end, int flags)
{
	int unmapped = 0;
	struct part part;

	while (start < end) {
		int error;

		if (!next_part(thread, start, end, &part))
			return ENOMEM;
		if (part.start > start)
			unmapped = ENOMEM;
		error = sync_part(&part, flags);
		if (flags & MM_MS_INVALIDATE && part.flags & MM__VMA_LOCKED)
			error = EBUSY;
		if (error)
			return error;
		start = part.end;
	}
	return unmapped;
}

int mm_msync(struct mm *mm, uint64_t addr, uint64_t length, int flags)
{
	struct mm__thread *thread = mm__this_thread(mm);
	uint64_t end = addr + mm__page_align(length);
	struct mm__hold hold;
	int error;

	if (flags & ~(MM_MS_ASYNC | MM_MS_INVALIDATE | MM_MS_SYNC) || !mm__page_aligned(addr) ||
	    (flags & MM_MS_ASYNC && flags & MM_MS_SYNC))
		return EINVAL;
	if (end < addr)
		return ENOMEM;
	if (end == addr)
		return 0;
	error = thread ? mm__hold_read(thread, &hold, addr, end) : ENOMEM;
	if (error)
		return error;
	error = sync_range(thread, addr, end, flags);
	mm__release(thread, &hold);
	mm__divide_if_strained(thread);
	return error;
}
