/* SPDX-License-Identifier: MIT */
/*
 * mm_madvise(). MM_MADV_DONTNEED holds the range for reading: faults may put pages in while others
 * are taken out, and which of the two came first is decided by the entry. Who populates
 * holds nothing: each fault takes its page for reading, and would wait for a writer that waits for
 * its own thread if that held the range already.
 */
#include "internal.h"

#include <errno.h>

/* The next area that has something in [*start, end), with both set to that part. */
static bool next_part(struct mm__cpu *cpu, uint64_t *start, uint64_t *end, int *prot, int *flags)
{
	struct mm__mapping m;
	bool found;

	mm__rcu_read_lock();
	found = mm__next_area(cpu, *start, *end, &m);
	if (found) {
		*start = mm__max(*start, m.start);
		*end = mm__min(*end, m.end);
		*prot = mm__area_prot(m.area);
		*flags = mm__area_flags(m.area);
	}
	mm__rcu_read_unlock();
	return found;
}

/* What is not mapped is an error, after the rest has been done. */
static int dontneed(struct mm__cpu *cpu, uint64_t addr, uint64_t end)
{
	int error = 0;

	while (addr < end) {
		uint64_t start = addr;
		uint64_t stop = end;
		int prot = 0;
		int flags = 0;

		if (!next_part(cpu, &start, &stop, &prot, &flags))
			return ENOMEM;
		if (start > addr)
			error = ENOMEM;
		if (flags & MM__AREA_LOCKED)
			return EINVAL;
		/* What a shared area shows is still in its file. */
		mm__pages_zap(cpu->mm, cpu, start, stop);
		addr = stop;
	}
	return error;
}

/* Up to the first hole, or area that does not allow the access. */
static int populate(struct mm__cpu *cpu, uint64_t addr, uint64_t end, int access)
{
	while (addr < end) {
		uint64_t start = addr;
		uint64_t stop = end;
		int prot = 0;
		int flags = 0;
		int error;

		if (!next_part(cpu, &start, &stop, &prot, &flags) || start > addr)
			return ENOMEM;
		/* Not what the processor allows beside: so Linux sees it here. */
		if (access & ~prot)
			return EINVAL;
		error = mm__populate(cpu, start, stop, access);
		if (error)
			return error;
		addr = stop;
	}
	return 0;
}

static int discard(struct mm__cpu *cpu, uint64_t addr, uint64_t end)
{
	struct mm__hold hold;
	int error = mm__hold_read(cpu, &hold, addr, end);

	if (error)
		return error;
	error = dontneed(cpu, addr, end);
	mm__release(cpu, &hold);
	mm__divide_if_strained(cpu);
	return error;
}

int mm_madvise(struct mm *mm, uint64_t addr, uint64_t length, int advice)
{
	struct mm__cpu *cpu = mm__this_cpu(mm);
	uint64_t aligned = mm__page_align(length);
	uint64_t end = addr + aligned;

	if ((advice != MM_MADV_DONTNEED && advice != MM_MADV_POPULATE_READ &&
	     advice != MM_MADV_POPULATE_WRITE) ||
	    !mm__page_aligned(addr) || (length && !aligned) || end < addr)
		return EINVAL;
	if (end == addr)
		return 0;
	if (!cpu)
		return ENOMEM;
	if (advice == MM_MADV_DONTNEED)
		return discard(cpu, addr, end);
	return populate(cpu, addr, end,
			advice == MM_MADV_POPULATE_READ ? MM_PROT_READ : MM_PROT_WRITE);
}
