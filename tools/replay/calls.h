/* SPDX-License-Identifier: MIT */
/* From recorded system calls to operations of a trace. */
#ifndef REPLAY_CALLS_H
#define REPLAY_CALLS_H

#include "drops.h"
#include "recording.h"
#include "vma_model.h"

/*
 * Makes an operation of the system call that enters with a record, and that has an exit. The
 * function asks the model only for the end of the heap. False, with the reason, if there is no such
 * operation.
 */
bool call_to_op(const struct recording *recording, size_t enter, const struct vma_model *model,
		struct trace_op *op, enum drop *reason);

/* Whether a recorded mmap maps a file. */
bool call_maps_file(const struct record *enter);

/*
 * The start of the heap: the result of the first brk, which is a question by the dynamic linker if
 * the program was recorded from its start. 0 if there is no brk.
 */
uint64_t call_brk_start(const struct recording *recording);

#endif
