/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t real(const struct kernel *kernel, uint64_t addr)
{
	return addr - WINDOW_START <= window_size(kernel->sequence)
		       ? addr - WINDOW_START + kernel->window
		       : addr;
}

static uint64_t simulated(const struct kernel *kernel, uint64_t addr)
{
	return addr - kernel->window <= window_size(kernel->sequence)
		       ? addr - kernel->window + WINDOW_START
		       : addr;
}

/* Records the result of a system call. */
static void outcome(struct record *record, long result)
{
	record->error = result == -1 ? errno : 0;
}

static void outcome_addr(const struct kernel *kernel, struct record *record, long result)
{
	outcome(record, result);
	if (!record->error)
		record->result = simulated(kernel, (uint64_t)result);
}

static uint64_t watched(const struct kernel *kernel, unsigned int i)
{
	return kernel->window + kernel->sequence->watched[i] * MM_PAGE_SIZE;
}

/*
 * Whether to leave out an access to a page. Above an unmapped page may lie stacks that have grown
 * together, which Linux keeps apart. Then each has its own limit in Linux, and the simulated space
 * has one limit. Where that limit makes a difference, the page is not accessed.
 */
static bool leave_out_page(const struct kernel *kernel, uint64_t page)
{
	static struct vmas vmas;
	unsigned int first = 0;
	unsigned int last;

	if (kernel->sequence->pages != LARGE_WINDOW ||
	    !(kernel->sequence->features & FEATURE_GROWSDOWN))
		return false;
	kernel_vmas(kernel, &vmas, false);
	while (first < vmas.count && vmas.vma[first].end <= page)
		first++;
	if (first == vmas.count || vmas.vma[first].start <= page)
		return false;
	for (last = first; last + 1 < vmas.count; last++)
		if (!vma_continues(&vmas, &vmas.vma[last], &vmas.vma[last + 1]))
			break;
	return last > first && (vmas.vma[last].end - page) * MM_PAGE_SIZE > MM_STACK_MAX;
}

static bool leave_out_access(const struct kernel *kernel, const struct op *op)
{
	uint64_t first = (op->addr - WINDOW_START) / MM_PAGE_SIZE;
	uint64_t last = (op->addr - WINDOW_START + op->length - 1) / MM_PAGE_SIZE;

	if (op->kind != OP_READ && op->kind != OP_WRITE)
		return false;
	for (uint64_t page = first; page <= last; page++)
		if (leave_out_page(kernel, page))
			return true;
	return false;
}

static void scan(const struct kernel *kernel, struct record *record)
{
	for (unsigned int i = 0; i < NR_WATCHED; i++)
		record->pages[i] = leave_out_page(kernel, kernel->sequence->watched[i])
					   ? PAGE_LEFT_OUT
					   : kernel_scan_page(watched(kernel, i), &record->hash);
}

static void presence(const struct kernel *kernel, uint64_t addr, const struct op *op,
		     struct record *record)
{
	static unsigned char vec[LARGE_WINDOW + 1];

	outcome(record, syscall(SYS_mincore, addr, op->length, vec));
	for (unsigned int i = 0; i < NR_WATCHED; i++) {
		if (syscall(SYS_mincore, watched(kernel, i), MM_PAGE_SIZE, vec))
			record->pages[i] = PAGE_UNMAPPED;
		else
			record->pages[i] = vec[0] & 1 ? PAGE_PRESENT : PAGE_ABSENT;
	}
}

static uint64_t pages_of(uint64_t length)
{
	return (length + MM_PAGE_SIZE - 1) / MM_PAGE_SIZE;
}

/*
 * Whether to leave out an mremap(): because it needs a single VMA, and Linux may have kept apart a
 * VMA of the simulated space; because newer versions of Linux move several VMAs at once; or because
 * the length of shared memory changes, which the simulated space may not support.
 */
static bool leave_out_mremap(const struct kernel *kernel, const struct op *op)
{
	static struct vmas vmas;
	uint64_t start = (op->addr - WINDOW_START) / MM_PAGE_SIZE;
	uint64_t old = pages_of(op->length);
	uint64_t new = pages_of(op->new_length);
	unsigned int i;

	if (op->addr < WINDOW_START || op->addr >= window_end(kernel->sequence))
		return false;
	kernel_vmas(kernel, &vmas, false);
	i = vmas_find(&vmas, start);
	if (i == vmas.count)
		return false;
	if (vmas.vma[i].shared && !(kernel->sequence->features & FEATURE_SHARED_RESIZE) &&
	    old != new)
		return true;
	if (start + old <= vmas.vma[i].end || (new <= old && !(op->flags & MM_MREMAP_FIXED)))
		return false;
	return (i + 1 < vmas.count && vma_continues(&vmas, &vmas.vma[i], &vmas.vma[i + 1])) ||
	       ((op->flags & MM_MREMAP_FIXED) && old == new);
}

/* Whether Linux may have two VMAs for the pages of one VMA of the simulated space. */
static bool may_stay_apart(const struct vmas *vmas, const struct vma *left, bool becomes_alike)
{
	const struct vma *right = left + 1;

	return vma_continues(vmas, left, right) ||
	       (becomes_alike && left->end == right->start && !left->shared && !right->shared);
}

/* Whether two such VMAs meet in or at the ends of [addr, addr + length). */
static bool goes_over_boundary(const struct vmas *vmas, uint64_t addr, uint64_t length,
			       bool becomes_alike)
{
	uint64_t start = (addr - WINDOW_START) / MM_PAGE_SIZE;
	uint64_t end = start + pages_of(length + addr % MM_PAGE_SIZE);

	for (unsigned int i = 0; i + 1 < vmas->count; i++)
		if (vmas->vma[i].end >= start && vmas->vma[i].end <= end &&
		    may_stay_apart(vmas, &vmas->vma[i], becomes_alike))
			return true;
	return false;
}

/*
 * Whether to leave out an operation because there is hardly room for more VMAs. Where Linux has
 * kept VMAs apart, the simulated space may need more additional VMAs than Linux, or fewer.
 */
static bool leave_out_at_limit(const struct kernel *kernel, const struct op *op)
{
	static struct vmas vmas;
	uint64_t length = op->kind == OP_BRK ? window_end(kernel->sequence) - op->addr : op->length;
	bool becomes_alike =
		op->kind == OP_MPROTECT || op->kind == OP_MLOCK || op->kind == OP_MUNLOCK;

	if (kernel->sequence->limit == NO_LIMIT || op->addr < WINDOW_START ||
	    op->addr >= window_end(kernel->sequence))
		return false;
	/* Longer ranges are refused, or wrap to at most a page. */
	if (length > window_size(kernel->sequence))
		length = MM_PAGE_SIZE;
	kernel_vmas(kernel, &vmas, false);
	return vmas.count + 4 > kernel->sequence->limit &&
	       (goes_over_boundary(&vmas, op->addr, length, becomes_alike) ||
		(op->kind == OP_MREMAP && (op->flags & MM_MREMAP_FIXED) &&
		 goes_over_boundary(&vmas, op->new_addr, op->new_length, false)));
}

static void remap(const struct kernel *kernel, const struct op *op, struct record *record)
{
	outcome_addr(kernel, record,
		     syscall(SYS_mremap, real(kernel, op->addr), op->length, op->new_length,
			     op->flags, real(kernel, op->new_addr)));
}

void kernel_do(const struct kernel *kernel, const struct op *op, struct record *record)
{
	uint64_t addr = real(kernel, op->addr);

	record->skipped = leave_out_at_limit(kernel, op) || leave_out_access(kernel, op) ||
			  (op->kind == OP_MREMAP && leave_out_mremap(kernel, op));
	if (record->skipped)
		return;
	switch (op->kind) {
	case OP_MMAP:
		outcome_addr(kernel, record,
			     syscall(SYS_mmap, addr, op->length, op->prot, op->flags,
				     kernel->files->fd[op->file], op->offset));
		break;
	case OP_MUNMAP:
		outcome(record, syscall(SYS_munmap, addr, op->length));
		break;
	case OP_MPROTECT:
		outcome(record, syscall(SYS_mprotect, addr, op->length, op->prot));
		break;
	case OP_MREMAP:
		remap(kernel, op, record);
		break;
	case OP_MADVISE:
		outcome(record, syscall(SYS_madvise, addr, op->length, op->flags));
		break;
	case OP_BRK:
		record->result = simulated(kernel, (uint64_t)syscall(SYS_brk, addr));
		break;
	case OP_READ:
		kernel_read(addr, op->length, record);
		break;
	case OP_WRITE:
		kernel_write(addr, op, record);
		break;
	case OP_SCAN:
		scan(kernel, record);
		break;
	case OP_MINCORE:
		presence(kernel, addr, op, record);
		break;
	case OP_MSYNC:
		outcome(record, syscall(SYS_msync, addr, op->length, op->flags));
		break;
	case OP_MLOCK:
		outcome(record, syscall(SYS_mlock, addr, op->length));
		break;
	case OP_MUNLOCK:
		outcome(record, syscall(SYS_munlock, addr, op->length));
		break;
	case OP_TRUNCATE:
	case OP_PWRITE:
	case OP_PREAD:
		files_do(kernel->files, op, record);
		break;
	default:
		break;
	}
	if (record->error == EFAULT && record->fault_code)
		record->fault_addr = simulated(kernel, record->fault_addr);
	kernel_vmas(kernel, &record->vmas, op->vm_flags);
}
