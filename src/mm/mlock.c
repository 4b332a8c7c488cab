/* SPDX-License-Identifier: MIT */
/*
 * mm_mlock() and mm_munlock(): VMA by VMA, up to the first hole, as in Linux. They do not change
 * the access that a VMA allows, so they change none of its pages.
 */
#include "mlock.h"

#include "attach.h"
#include "fault.h"
#include "hold.h"
#include "page.h"
#include "vmas.h"

#include <errno.h>

static int set_locked(struct mm__vma_kind *kind, int locked)
{
	kind->flags = (kind->flags & ~MM__VMA_LOCKED) | locked;
	return 0;
}

static int change_locked(struct mm__thread *thread, uint64_t addr, uint64_t end, int locked)
{
	struct mm__hold hold;
	int error = mm__hold_write(thread, &hold, addr, end);

	if (error)
		return error;
	error = mm__vmas_change(thread, addr, end, set_locked, locked);
	mm__release(thread, &hold);
	return error;
}

/* The access by which the pages of a VMA are made present; 0: they are not. */
static int access_of(const struct mm__vma *vma)
{
	if (!(mm__vma_flags(vma) & MM__VMA_LOCKED))
		return 0;
	return mm__vma_prot(vma) & MM_PROT_WRITE && mm__vma_flags(vma) & MM_MAP_PRIVATE
		       ? MM_PROT_WRITE
		       : MM_PROT_READ;
}

/*
 * Moves *start over VMAs, up to a VMA whose pages are to be made present, and makes [*start, *end)
 * the part of that VMA. Returns the access, or 0 if there is no such VMA.
 */
static int next_locked(struct mm__thread *thread, uint64_t *start, uint64_t *end)
{
	int access = 0;

	while (!access && *start < *end) {
		struct mm__mapping m = { *end, *end, NULL };

		mm__rcu_read_lock();
		if (mm__next_vma(thread, *start, *end, &m) && m.start < *end)
			access = access_of(m.vma);
		mm__rcu_read_unlock();
		*start = access ? mm__max(*start, m.start) : mm__min(*end, m.end);
		*end = access ? mm__min(*end, m.end) : *end;
	}
	return access;
}

/* Whether the part of a locked VMA is gone, or is to be made present by another access. */
static bool has_changed(struct mm__thread *thread, uint64_t start, uint64_t end, int access)
{
	uint64_t now_start = start;
	uint64_t now_end = end;

	return next_locked(thread, &now_start, &now_end) != access || now_start != start ||
	       now_end != end;
}

int mm__populate_locked(struct mm__thread *thread, uint64_t addr, uint64_t end)
{
	int error = 0;

	while (addr < end && !error) {
		uint64_t stop = end;
		int access = next_locked(thread, &addr, &stop);

		if (!access)
			break;
		error = mm__populate(thread, addr, stop, access);
		if (error == EFAULT && has_changed(thread, addr, stop, access))
			error = 0;
		else
			addr = stop;
	}
	/* The errors of Linux. */
	if (error == EFAULT)
		return ENOMEM;
	return error == ENOMEM ? EAGAIN : error;
}

/* A length that wraps when it is rounded up is 0, as in Linux. */
static int round_out(uint64_t *addr, uint64_t length, uint64_t *end)
{
	uint64_t aligned = mm__page_align(length + *addr % MM_PAGE_SIZE);

	*addr = mm__page_start(*addr);
	*end = *addr + aligned;
	return *end < *addr ? EINVAL : 0;
}

int mm_mlock(struct mm *mm, uint64_t addr, uint64_t length)
{
	struct mm__thread *thread = mm__this_thread(mm);
	uint64_t end;
	int error = thread ? round_out(&addr, length, &end) : ENOMEM;

	if (error || addr == end)
		return error;
	error = change_locked(thread, addr, end, MM__VMA_LOCKED);
	return error ? error : mm__populate_locked(thread, addr, end);
}

int mm_munlock(struct mm *mm, uint64_t addr, uint64_t length)
{
	struct mm__thread *thread = mm__this_thread(mm);
	uint64_t end;
	int error = thread ? round_out(&addr, length, &end) : ENOMEM;

	if (error || addr == end)
		return error;
	return change_locked(thread, addr, end, 0);
}
