/* SPDX-License-Identifier: MIT */
/*
 * vma_model - which pages are mapped, and with which protection, after the operations of a trace so
 * far. It has no pages and no locks. The converter asks it whether an operation can succeed.
 *
 * A model that guesses makes up the mappings of exec: it assumes that memory that is used, but that
 * no operation has mapped, was there from the start.
 */
#ifndef REPLAY_VMA_MODEL_H
#define REPLAY_VMA_MODEL_H

#include "exec_vmas.h"
#include "span_map.h"
#include "trace_format.h"

struct vma_model {
	bool guessing;
	uint64_t brk_start;
	uint64_t brk;
	uint32_t shared_mappings;  /* so far */
	struct span_map vmas;      /* by page: protection, and the bits that vma_model.c adds */
	struct span_map known;     /* guessing: pages that any operation has named so far */
	struct span_map mapped;    /* guessing: pages that operations have mapped so far */
	struct exec_pieces pieces; /* guessing: the findings */
};

enum model_result {
	MODEL_DONE,
	MODEL_UNMAPPED, /* needs memory that is not mapped, or not in one VMA */
	MODEL_ACCESS,   /* a fault that the protection does not allow */
	MODEL_HEAP,     /* a brk below the start, or into a mapping */
	MODEL_NO_MEMORY /* in this program */
};

void vma_model_init(struct vma_model *model, bool guessing, uint64_t brk_start);
void vma_model_destroy(struct vma_model *model);

/* Does an operation if it can succeed; otherwise nothing has changed. */
enum model_result vma_model_apply(struct vma_model *model, const struct trace_op *op);

/* Whether the model would allow a fault. */
bool vma_model_allows(const struct vma_model *model, const struct trace_op *fault);

/* Whether the fault needs op: op maps its page, or allows the access. */
bool vma_model_helps(const struct trace_op *op, const struct trace_op *fault);

#endif
