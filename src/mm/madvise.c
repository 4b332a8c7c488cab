/* SPDX-License-Identifier: MIT */
/*
 * mm_madvise(). MM_MADV_DONTNEED holds the range for reading. Faults may put pages in while it
 * takes others out; the entry decides which of the two came first. A thread that populates holds no
 * range, because each fault takes the range of its page for reading. If the thread held the range
 * already, that fault would wait for a writer that waits for the same thread.
 */
#include "attach.h"
#include "fault.h"
#include "hold.h"
#include "page.h"
#include "pages.h"
#include "vmas.h"

#include <errno.h>

/* Finds the next VMA that overlaps [*start, *end), and makes the two the bounds of the overlap. */
static bool next_part(struct mm__thread *thread, uint64_t *start, uint64_t *end, int *prot,
		      int *flags)
{
	struct mm__mapping m;
	bool found;

	mm__rcu_read_lock();
	found = mm__next_vma(thread, *start, *end, &m);
	if (found) {
		*start = mm__max(*start, m.start);
		*end = mm__min(*end, m.end);
		*prot = mm__vma_prot(m.vma);
		*flags = mm__vma_flags(m.vma);
	}
	mm__rcu_read_unlock();
	return found;
}

/* A hole is an error, but only after the rest has been done. */
static int dontneed(struct mm__thread *thread, uint64_t addr, uint64_t end)
{
	int error = 0;

	while (addr < end) {
		uint64_t start = addr;
		uint64_t stop = end;
		int prot = 0;
		int flags = 0;

		if (!next_part(thread, &start, &stop, &prot, &flags))
			return ENOMEM;
		if (start > addr)
			error = ENOMEM;
		if (flags & MM__VMA_LOCKED)
			return EINVAL;
		/* The pages of a shared VMA are still in its file. */
		mm__pages_zap(thread->mm, thread, start, stop);
		addr = stop;
	}
	return error;
}

/* Populates up to the first hole, or the first VMA that does not allow the access. */
static int populate_range(struct mm__thread *thread, uint64_t addr, uint64_t end, int access)
{
	while (addr < end) {
		uint64_t start = addr;
		uint64_t stop = end;
		int prot = 0;
		int flags = 0;
		int error;

		if (!next_part(thread, &start, &stop, &prot, &flags) || start > addr)
			return ENOMEM;
		/* As in Linux, this ignores accesses that the processor allows in addition. */
		if (access & ~prot)
			return EINVAL;
		error = mm__populate(thread, start, stop, access);
		if (error)
			return error;
		addr = stop;
	}
	return 0;
}

static int discard_range(struct mm__thread *thread, uint64_t addr, uint64_t end)
{
	struct mm__hold hold;
	int error = mm__hold_read(thread, &hold, addr, end);

	if (error)
		return error;
	error = dontneed(thread, addr, end);
	mm__release(thread, &hold);
	mm__divide_if_strained(thread);
	return error;
}

int mm_madvise(struct mm *mm, uint64_t addr, uint64_t length, int advice)
{
	struct mm__thread *thread = mm__this_thread(mm);
	uint64_t aligned = mm__page_align(length);
	uint64_t end = addr + aligned;

	if ((advice != MM_MADV_DONTNEED && advice != MM_MADV_POPULATE_READ &&
	     advice != MM_MADV_POPULATE_WRITE) ||
	    !mm__page_aligned(addr) || (length && !aligned) || end < addr)
		return EINVAL;
	if (end == addr)
		return 0;
	if (!thread)
		return ENOMEM;
	if (advice == MM_MADV_DONTNEED)
		return discard_range(thread, addr, end);
	return populate_range(thread, addr, end,
			      advice == MM_MADV_POPULATE_READ ? MM_PROT_READ : MM_PROT_WRITE);
}
