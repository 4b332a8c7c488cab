/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <mmrange/mm.h>

/* Values of Linux without a constant in mm.h. */
#define LINUX_MAP_TYPE  0x0fu
#define LINUX_MAX_ERRNO 4095
#define LINUX_PROT_SEM  0x8u /* without an effect on x86 */

static uint64_t page_up(uint64_t length)
{
	return (length + MM_PAGE_SIZE - 1) & ~(MM_PAGE_SIZE - 1);
}

bool call_maps_file(const struct record *enter)
{
	return !(enter->args[3] & MM_MAP_ANONYMOUS);
}

static bool mmap_to_op(const struct record *enter, uint64_t result, struct trace_op *op)
{
	uint64_t flags = enter->args[3];
	bool shared = (flags & LINUX_MAP_TYPE) != MM_MAP_PRIVATE && !call_maps_file(enter);

	op->addr = result;
	op->length = enter->args[1];
	op->prot = enter->args[2] & (MM_PROT_READ | MM_PROT_WRITE | MM_PROT_EXEC);
	op->flags = (uint32_t)(flags & (MM_MAP_NORESERVE | MM_MAP_STACK)) | MM_MAP_ANONYMOUS |
		    (shared ? MM_MAP_SHARED : MM_MAP_PRIVATE) |
		    (flags & MM_MAP_FIXED ? MM_MAP_FIXED : MM_MAP_FIXED_NOREPLACE);
	return true;
}

static bool mprotect_to_op(const struct record *enter, struct trace_op *op)
{
	uint64_t known = MM_PROT_READ | MM_PROT_WRITE | MM_PROT_EXEC;

	op->addr = enter->args[0];
	op->length = enter->args[1];
	op->prot = (uint8_t)(enter->args[2] & known);
	return !(enter->args[2] & ~(known | LINUX_PROT_SEM));
}

static bool mremap_to_op(const struct record *enter, uint64_t result, struct trace_op *op)
{
	op->addr = enter->args[0];
	op->length = enter->args[1];
	op->new_addr = result;
	op->new_length = enter->args[2];
	return op->length && !(enter->args[3] & ~(uint64_t)(MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED));
}

static bool madvise_to_op(const struct record *enter, struct trace_op *op)
{
	op->addr = enter->args[0];
	op->length = enter->args[1];
	op->flags = MM_MADV_DONTNEED;
	return enter->args[2] == MM_MADV_DONTNEED;
}

static void brk_to_op(const struct record *enter, uint64_t brk, struct trace_op *op)
{
	op->addr = enter->args[0];
	op->new_length = brk;
	op->new_addr = op->addr ? op->addr : brk;
}

/* Whether the operation is of a known kind, with known flags. */
static bool to_op(const struct record *enter, uint64_t result, uint64_t brk, struct trace_op *op)
{
	switch (enter->syscall) {
	case PERF_MMAP:
		return mmap_to_op(enter, result, op);
	case PERF_MPROTECT:
		return mprotect_to_op(enter, op);
	case PERF_MREMAP:
		return mremap_to_op(enter, result, op);
	case PERF_MADVISE:
		return madvise_to_op(enter, op);
	case PERF_BRK:
		brk_to_op(enter, brk, op);
		return true;
	default:
		op->addr = enter->args[0];
		op->length = enter->args[1];
		return true;
	}
}

static bool has_failed(const struct record *enter, uint64_t result)
{
	if (enter->syscall == PERF_BRK)
		return enter->args[0] && enter->args[0] != result;
	return result > UINT64_MAX - LINUX_MAX_ERRNO;
}

bool call_to_op(const struct recording *recording, size_t i, const struct vma_model *model,
		struct trace_op *op, enum drop *reason)
{
	const struct record *enter = &recording->records[i];
	uint64_t result = recording->records[enter->partner].args[0];
	struct trace trace = { .threads = 1, .brk_start = model->brk_start };

	*op = (struct trace_op){ .kind = (uint8_t)drop_kind_of_syscall(enter->syscall) };
	*reason = DROP_RANGE;
	if (has_failed(enter, result)) {
		*reason = DROP_FAILED;
		return false;
	}
	if (!to_op(enter, result, model->brk, op)) {
		*reason = DROP_COUNTERPART;
		return false;
	}
	if (enter->syscall == PERF_BRK) {
		if (op->addr && op->addr < model->brk_start)
			*reason = DROP_HEAP;
		return !trace_op_check(&trace, op);
	}
	if (op->length == 0) {
		*reason = DROP_NOTHING;
		return false;
	}
	if (op->length > MM_ADDR_MAX || op->new_length > MM_ADDR_MAX)
		return false;
	op->length = page_up(op->length);
	op->new_length = page_up(op->new_length);
	return !trace_op_check(&trace, op);
}

uint64_t call_brk_start(const struct recording *recording)
{
	for (size_t i = 0; i < recording->count; i++) {
		const struct record *record = &recording->records[i];

		if (record->type == PERF_ENTER && record->syscall == PERF_BRK &&
		    record->partner != RECORD_ALONE) {
			uint64_t start = recording->records[record->partner].args[0];

			return start >= MM_ADDR_MIN && start < MM_ADDR_MAX ? page_up(start) : 0;
		}
	}
	return 0;
}
