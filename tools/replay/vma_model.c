/* SPDX-License-Identifier: MIT */
#include "vma_model.h"

#include <mmrange/mm.h>

/*
 * A VMA's value has all that tells VMAs apart: its protection; VMA_GUESSED if it is exec's and no
 * operation has changed it yet; the flags of its mapping; and for a shared mapping its number.
 */
#define VMA_PROT          UINT64_C(0x07)
#define VMA_GUESSED       UINT64_C(0x08)
#define VMA_FLAGS_SHIFT   4
#define VMA_MAPPING_SHIFT 32
#define MAPPING_FLAGS     (MM_MAP_SHARED | MM_MAP_NORESERVE | MM_MAP_STACK)

void vma_model_init(struct vma_model *model, bool guessing, uint64_t brk_start)
{
	*model = (struct vma_model){ .guessing = guessing,
				     .brk_start = brk_start,
				     .brk = brk_start };
}

void vma_model_destroy(struct vma_model *model)
{
	span_map_destroy(&model->vmas);
	span_map_destroy(&model->known);
	span_map_destroy(&model->mapped);
	exec_pieces_destroy(&model->pieces);
}

static unsigned int access_of(const struct trace_op *fault)
{
	static const unsigned int accesses[] = {
		[TRACE_READ] = MM_PROT_READ,
		[TRACE_WRITE] = MM_PROT_WRITE,
		[TRACE_EXEC] = MM_PROT_EXEC,
	};

	return accesses[fault->kind];
}

/* As on x86: an accessible page is readable. */
static bool allows(uint64_t value, unsigned int access)
{
	return value & (access == MM_PROT_READ ? VMA_PROT : access);
}

static enum model_result result(int error)
{
	return error ? MODEL_NO_MEMORY : MODEL_DONE;
}

/* For operations that make a mapping: later guesses stay away from it. */
static int set_mapped(struct vma_model *model, struct trace_pages pages, uint64_t value)
{
	int error = span_map_set(&model->vmas, pages.start, pages.end, value);

	if (!error && model->guessing)
		error = span_map_set(&model->known, pages.start, pages.end, 0);
	if (!error && model->guessing)
		error = span_map_set(&model->mapped, pages.start, pages.end, 0);
	return error;
}

/* Takes parts of the pages that no operation has named before as exec's. */
static int guess(struct vma_model *model, struct trace_pages pages, unsigned int access)
{
	const uint64_t value = MM_PROT_READ | MM_PROT_WRITE | MM_PROT_EXEC | VMA_GUESSED;
	uint64_t start = pages.start;
	int error = 0;

	while (start < pages.end && !error) {
		size_t i = span_map_search(&model->known, start);
		uint64_t end = pages.end, next = pages.end;

		if (i < model->known.count && model->known.spans[i].start < pages.end) {
			end = model->known.spans[i].start;
			next = model->known.spans[i].end;
		}
		if (start < end) {
			error = exec_pieces_add(&model->pieces, start, end, (int)access);
			if (!error)
				error = span_map_set(&model->vmas, start, end, value);
			if (!error)
				error = span_map_set(&model->known, start, end, 0);
		}
		start = next;
	}
	return error;
}

static enum model_result apply_fault(struct vma_model *model, const struct trace_op *op,
				     struct trace_pages pages)
{
	const struct span *span = span_map_find(&model->vmas, pages.start);
	int error = 0;

	if (!span && model->guessing) {
		error = guess(model, pages, access_of(op));
		span = span_map_find(&model->vmas, pages.start);
	} else if (span && span->value & VMA_GUESSED) {
		error = exec_pieces_add(&model->pieces, pages.start, pages.end, (int)access_of(op));
	}
	if (error)
		return MODEL_NO_MEMORY;
	if (!span)
		return MODEL_UNMAPPED;
	return allows(span->value, access_of(op)) ? MODEL_DONE : MODEL_ACCESS;
}

static bool is_shared(uint64_t value)
{
	return value >> VMA_FLAGS_SHIFT & MM_MAP_SHARED;
}

/* Gives a shared mapping a number of its own, so that it does not merge with its neighbours. */
static uint64_t number_mapping(struct vma_model *model, uint64_t value)
{
	if (!is_shared(value))
		return value;
	value &= (UINT64_C(1) << VMA_MAPPING_SHIFT) - 1;
	return value | (uint64_t)++model->shared_mappings << VMA_MAPPING_SHIFT;
}

static enum model_result apply_mmap(struct vma_model *model, const struct trace_op *op,
				    struct trace_pages pages)
{
	uint64_t value = op->prot | (uint64_t)(op->flags & MAPPING_FLAGS) << VMA_FLAGS_SHIFT;

	return result(set_mapped(model, pages, number_mapping(model, value)));
}

static enum model_result apply_mprotect(struct vma_model *model, const struct trace_op *op,
					struct trace_pages pages)
{
	if (!span_map_covers(&model->vmas, pages.start, pages.end))
		return MODEL_UNMAPPED;
	for (uint64_t start = pages.start; start < pages.end;) {
		struct span span = *span_map_find(&model->vmas, start);
		uint64_t end = span.end < pages.end ? span.end : pages.end;

		if (span_map_set(&model->vmas, start, end,
				 op->prot | (span.value & ~(VMA_PROT | VMA_GUESSED))))
			return MODEL_NO_MEMORY;
		start = end;
	}
	return MODEL_DONE;
}

static enum model_result apply_munmap(struct vma_model *model, struct trace_pages pages)
{
	int error = span_map_erase(&model->vmas, pages.start, pages.end);

	if (!error && model->guessing)
		error = span_map_set(&model->known, pages.start, pages.end, 0);
	return result(error);
}

/*
 * Whether an mremap has the pages that it needs beyond its old ones: none, if it replaces a
 * mapping. Shared memory keeps its first size, so it cannot grow: an access would fail.
 */
static bool can_grow(const struct vma_model *model, const struct trace_op *op,
		     const struct trace_pages pages[2], uint64_t value)
{
	if (op->new_length > op->length && is_shared(value))
		return false;
	return op->new_addr != op->addr || pages[1].end <= pages[0].end ||
	       !span_map_overlaps(&model->vmas, pages[0].end, pages[1].end);
}

static enum model_result apply_mremap(struct vma_model *model, const struct trace_op *op,
				      const struct trace_pages pages[2])
{
	const struct span *span = span_map_find(&model->vmas, pages[0].start);
	uint64_t value;
	int error;

	if (!span || span->end < pages[0].end || !can_grow(model, op, pages, span->value))
		return MODEL_UNMAPPED;
	value = number_mapping(model, span->value & ~VMA_GUESSED);
	error = span_map_erase(&model->vmas, pages[0].start, pages[0].end);
	return result(error ? error : set_mapped(model, pages[1], value));
}

static enum model_result apply_brk(struct vma_model *model, const struct trace_op *op)
{
	uint64_t before = trace_page_after(model->brk), after = trace_page_after(op->new_addr);
	struct trace_pages grown = { before, after };
	int error = 0;

	if (op->new_addr < model->brk_start)
		return MODEL_HEAP;
	if (after > before) {
		/* Linux leaves a page free behind the heap. */
		if (span_map_overlaps(&model->vmas, before, after + 1))
			return MODEL_HEAP;
		error = set_mapped(model, grown, MM_PROT_READ | MM_PROT_WRITE);
	} else if (after < before) {
		error = span_map_erase(&model->vmas, after, before);
	}
	if (!error)
		model->brk = op->new_addr;
	return result(error);
}

enum model_result vma_model_apply(struct vma_model *model, const struct trace_op *op)
{
	struct trace_pages pages[2];
	bool needs_mapping =
		op->kind == TRACE_MPROTECT || op->kind == TRACE_MADVISE || op->kind == TRACE_MREMAP;

	trace_op_pages(op, pages);
	if (model->guessing && needs_mapping && guess(model, pages[0], 0))
		return MODEL_NO_MEMORY;
	switch (op->kind) {
	case TRACE_MMAP:
		return apply_mmap(model, op, pages[0]);
	case TRACE_MUNMAP:
		return apply_munmap(model, pages[0]);
	case TRACE_MPROTECT:
		return apply_mprotect(model, op, pages[0]);
	case TRACE_MREMAP:
		return apply_mremap(model, op, pages);
	case TRACE_MADVISE:
		return span_map_covers(&model->vmas, pages[0].start, pages[0].end) ? MODEL_DONE
										   : MODEL_UNMAPPED;
	case TRACE_BRK:
		return apply_brk(model, op);
	default:
		return apply_fault(model, op, pages[0]);
	}
}

bool vma_model_allows(const struct vma_model *model, const struct trace_op *fault)
{
	const struct span *span = span_map_find(&model->vmas, fault->addr >> MM_PAGE_SHIFT);

	return span && allows(span->value, access_of(fault));
}

bool vma_model_helps(const struct trace_op *op, const struct trace_op *fault)
{
	struct trace_pages pages[2], target;
	uint64_t page = fault->addr >> MM_PAGE_SHIFT;
	unsigned int n = trace_op_pages(op, pages);

	target = pages[n - 1];
	if (page < target.start || page >= target.end)
		return false;
	if (op->kind == TRACE_MMAP || op->kind == TRACE_MPROTECT)
		return allows(op->prot, access_of(fault));
	return op->kind == TRACE_MREMAP || (op->kind == TRACE_BRK && op->new_addr > op->new_length);
}
