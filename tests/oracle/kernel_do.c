/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "kernel.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t real(const struct kernel *kernel, uint64_t addr)
{
	return addr - WINDOW_START <= WINDOW_SIZE ? addr - WINDOW_START + kernel->window : addr;
}

static uint64_t simulated(const struct kernel *kernel, uint64_t addr)
{
	return addr - kernel->window <= WINDOW_SIZE ? addr - kernel->window + WINDOW_START : addr;
}

/* Of a system call. */
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

static void scan(const struct kernel *kernel, struct record *record)
{
	for (unsigned int i = 0; i < WINDOW_PAGES; i++)
		record->pages[i] =
			kernel_scan_page(kernel->window + i * MM_PAGE_SIZE, &record->hash);
}

static void presence(const struct kernel *kernel, uint64_t addr, const struct op *op,
		     struct record *record)
{
	unsigned char vec[WINDOW_PAGES + 1];

	outcome(record, syscall(SYS_mincore, addr, op->length, vec));
	for (unsigned int i = 0; i < WINDOW_PAGES; i++) {
		uint64_t page = kernel->window + i * MM_PAGE_SIZE;

		if (syscall(SYS_mincore, page, MM_PAGE_SIZE, vec))
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
 * Whether an mremap() is left out: because it needs one area where Linux may have kept apart what
 * is one; because Linux has become able to move several areas at once; or because the length of
 * shared memory changes, which the simulated space may not have.
 */
static bool leave_out_mremap(const struct kernel *kernel, const struct op *op)
{
	static struct areas areas;
	uint64_t start = (op->addr - WINDOW_START) / MM_PAGE_SIZE;
	uint64_t old = pages_of(op->length);
	uint64_t new = pages_of(op->new_length);
	unsigned int i;

	if (op->addr < WINDOW_START || op->addr >= WINDOW_END)
		return false;
	kernel_areas(kernel->window, &areas, false);
	i = areas_find(&areas, start);
	if (i == areas.count)
		return false;
	if (areas.area[i].shared && !(kernel->sequence->features & FEATURE_SHARED_RESIZE) &&
	    old != new)
		return true;
	if (start + old <= areas.area[i].end || (new <= old && !(op->flags & MM_MREMAP_FIXED)))
		return false;
	return (i + 1 < areas.count && areas_go_on(&areas, &areas.area[i], &areas.area[i + 1])) ||
	       ((op->flags & MM_MREMAP_FIXED) && old == new);
}

static void remap(const struct kernel *kernel, const struct op *op, struct record *record)
{
	if (leave_out_mremap(kernel, op)) {
		record->skipped = true;
		return;
	}
	outcome_addr(kernel, record,
		     syscall(SYS_mremap, real(kernel, op->addr), op->length, op->new_length,
			     op->flags, real(kernel, op->new_addr)));
}

void kernel_do(const struct kernel *kernel, const struct op *op, struct record *record)
{
	uint64_t addr = real(kernel, op->addr);

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
	default:
		break;
	}
	if (record->error == EFAULT && record->fault_code)
		record->fault_addr = simulated(kernel, record->fault_addr);
	kernel_areas(kernel->window, &record->areas, op->vm_flags);
}
