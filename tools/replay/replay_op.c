/* SPDX-License-Identifier: MIT */
#include "replay.h"

#include <errno.h>

/* The size of one store of a program. */
#define WRITE_SIZE 8

int replay_create_mm(const struct trace *trace, enum mm_locking locking, struct mm **mm)
{
	struct mm_attr attr;

	mm_attr_init(&attr);
	attr.locking = locking;
	if (trace->brk_start)
		attr.brk_start = trace->brk_start;
	return mm_create(mm, &attr);
}

int replay_warm_up(struct mm *mm, uint64_t pages)
{
	uint64_t addr;
	int error;

	if (pages == 0)
		return 0;
	error = mm_mmap(mm, 0, pages * MM_PAGE_SIZE, MM_PROT_READ,
			MM_MAP_PRIVATE | MM_MAP_ANONYMOUS, -1, 0, &addr);
	for (uint64_t i = 0; i < pages && !error; i++)
		error = mm_fault(mm, addr + i * MM_PAGE_SIZE, MM_PROT_READ, NULL);
	return error ? error : mm_munmap(mm, addr, pages * MM_PAGE_SIZE);
}

/* Never 0, because a page of zeroes would look unwritten. */
static unsigned char byte_at(uint64_t addr, uint32_t epoch)
{
	uint64_t mixed = (addr ^ (uint64_t)epoch << 40) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned char)(1 + (mixed >> 32) % 255);
}

static int write_bytes(struct mm *mm, uint64_t addr, uint32_t epoch)
{
	uint64_t rest = MM_PAGE_SIZE - addr % MM_PAGE_SIZE;
	size_t length = rest < WRITE_SIZE ? (size_t)rest : WRITE_SIZE;
	unsigned char bytes[WRITE_SIZE];

	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(addr + i, epoch);
	return mm_write(mm, addr, bytes, length, NULL);
}

static int read_byte(struct mm *mm, uint64_t addr)
{
	unsigned char byte;

	return mm_read(mm, addr, &byte, 1, NULL);
}

static int expect(int error, uint64_t result, uint64_t expected)
{
	if (error)
		return error;
	return result == expected ? 0 : ERANGE;
}

static int do_mremap(struct mm *mm, const struct trace_op *op)
{
	int flags = op->new_addr == op->addr ? 0 : MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED;
	uint64_t result = 0;
	int error =
		mm_mremap(mm, op->addr, op->length, op->new_length, flags, op->new_addr, &result);

	return expect(error, result, op->new_addr);
}

int replay_op(struct mm *mm, const struct trace_op *op, uint32_t epoch)
{
	uint64_t result = 0;
	int error;

	switch (op->kind) {
	case TRACE_READ:
		return read_byte(mm, op->addr);
	case TRACE_WRITE:
		return write_bytes(mm, op->addr, epoch);
	case TRACE_EXEC:
		return mm_fault(mm, op->addr, MM_PROT_EXEC, NULL);
	case TRACE_MMAP:
		error = mm_mmap(mm, op->addr, op->length, op->prot, (int)op->flags, -1, 0, &result);
		return expect(error, result, op->addr);
	case TRACE_MUNMAP:
		return mm_munmap(mm, op->addr, op->length);
	case TRACE_MPROTECT:
		return mm_mprotect(mm, op->addr, op->length, op->prot);
	case TRACE_MREMAP:
		return do_mremap(mm, op);
	case TRACE_MADVISE:
		return mm_madvise(mm, op->addr, op->length, (int)op->flags);
	default:
		error = mm_brk(mm, op->addr, &result);
		return expect(error, result, op->new_addr);
	}
}
