/* SPDX-License-Identifier: MIT */
/* Shared by the writer, the reader, and the users of traces. */
#include "trace_format.h"

#include <mmrange/mm.h>

#include <stdlib.h>

const char *trace_kind_name(enum trace_kind kind)
{
	static const char *const names[TRACE_KINDS] = {
		[TRACE_READ] = "read fault",  [TRACE_WRITE] = "write fault",
		[TRACE_EXEC] = "fetch fault", [TRACE_MMAP] = "mmap",
		[TRACE_MUNMAP] = "munmap",    [TRACE_MPROTECT] = "mprotect",
		[TRACE_MREMAP] = "mremap",    [TRACE_MADVISE] = "madvise",
		[TRACE_BRK] = "brk",
	};

	return names[kind];
}

static uint64_t page_of(uint64_t addr)
{
	return addr >> MM_PAGE_SHIFT;
}

uint64_t trace_page_after(uint64_t addr)
{
	return (addr + MM_PAGE_SIZE - 1) >> MM_PAGE_SHIFT;
}

static unsigned int brk_pages(const struct trace_op *op, struct trace_pages pages[2])
{
	uint64_t before = trace_page_after(op->new_length), after = trace_page_after(op->new_addr);

	pages[0] = (struct trace_pages){ TRACE_BRK_PAGE, TRACE_BRK_PAGE + 1 };
	if (before == after)
		return 1;
	/* Whether the heap can grow also depends on the page behind it, which Linux keeps free. */
	if (before < after)
		pages[1] = (struct trace_pages){ before, after + 1 };
	else
		pages[1] = (struct trace_pages){ after, before };
	return 2;
}

unsigned int trace_op_pages(const struct trace_op *op, struct trace_pages pages[2])
{
	if (op->kind == TRACE_BRK)
		return brk_pages(op, pages);
	pages[0] = (struct trace_pages){ page_of(op->addr), page_of(op->addr + op->length) };
	if (trace_is_fault(op))
		pages[0].end = pages[0].start + 1;
	if (op->kind != TRACE_MREMAP)
		return 1;
	pages[1] = (struct trace_pages){ page_of(op->new_addr),
					 page_of(op->new_addr + op->new_length) };
	return 2;
}

static const char *check_pages(uint64_t addr, uint64_t length)
{
	if (length == 0)
		return "an operation on no pages";
	if (addr < MM_ADDR_MIN || addr >= MM_ADDR_MAX || length > MM_ADDR_MAX - addr)
		return "an address out of range";
	if (addr % MM_PAGE_SIZE || length % MM_PAGE_SIZE)
		return "an address inside a page";
	return NULL;
}

static const char *check_mmap(const struct trace_op *op)
{
	uint32_t flags = op->flags;
	bool fixed = flags & MM_MAP_FIXED, no_replace = flags & MM_MAP_FIXED_NOREPLACE;
	bool shared = flags & MM_MAP_SHARED, private = flags & MM_MAP_PRIVATE;

	if (fixed == no_replace || shared == private || !(flags & MM_MAP_ANONYMOUS) ||
	    flags & ~(uint32_t)(MM_MAP_FIXED | MM_MAP_FIXED_NOREPLACE | MM_MAP_SHARED |
				MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_NORESERVE |
				MM_MAP_STACK))
		return "flags of mmap that have no meaning";
	return check_pages(op->addr, op->length);
}

static const char *check_mremap(const struct trace_op *op)
{
	const char *message = check_pages(op->addr, op->length);

	if (!message)
		message = check_pages(op->new_addr, op->new_length);
	if (!message && op->addr != op->new_addr && op->addr < op->new_addr + op->new_length &&
	    op->new_addr < op->addr + op->length)
		message = "an mremap onto itself";
	return message;
}

static const char *check_brk(const struct trace *trace, const struct trace_op *op)
{
	if (trace->brk_start < MM_ADDR_MIN || trace->brk_start >= MM_ADDR_MAX ||
	    trace->brk_start % MM_PAGE_SIZE)
		return "a heap out of range";
	if (op->addr && (op->addr < trace->brk_start || op->addr > MM_ADDR_MAX))
		return "an end of the heap out of range";
	return NULL;
}

const char *trace_op_check(const struct trace *trace, const struct trace_op *op)
{
	if (op->kind >= TRACE_KINDS)
		return "an operation of no known kind";
	if (op->thread >= trace->threads)
		return "a thread that does not exist";
	if (op->prot & ~(MM_PROT_READ | MM_PROT_WRITE | MM_PROT_EXEC))
		return "a protection that does not exist";
	switch (op->kind) {
	case TRACE_MMAP:
		return check_mmap(op);
	case TRACE_MREMAP:
		return check_mremap(op);
	case TRACE_BRK:
		return check_brk(trace, op);
	case TRACE_MADVISE:
		if (op->flags != MM_MADV_DONTNEED)
			return "advice that is not known";
		return check_pages(op->addr, op->length);
	case TRACE_MUNMAP:
	case TRACE_MPROTECT:
		return check_pages(op->addr, op->length);
	default:
		return op->addr < MM_ADDR_MIN || op->addr >= MM_ADDR_MAX ? "an address out of range"
									 : NULL;
	}
}

void trace_destroy(struct trace *trace)
{
	free(trace->ops);
	*trace = (struct trace){ 0 };
}
