/* SPDX-License-Identifier: MIT */
/* From recorded system calls to operations of a trace. */
#ifndef REPLAY_CALLS_H
#define REPLAY_CALLS_H

#include "vma_model.h"
#include "drops.h"
#include "recording.h"

/*
 * Makes an operation of the system call that enters with a record; it has its exit. The model is
 * asked for the end of the heap only. False with the reason if there is no such operation.
 */
bool call_to_op(const struct recording *recording, size_t enter, const struct vma_model *model,
		struct trace_op *op, enum drop *reason);

/* Whether a recorded mmap maps a file. */
bool call_maps_file(const struct record *enter);

/*
 * Where the heap starts: at what the first brk says, which is a question asked by the dynamic
 * linker in a program recorded from its start. 0 if there is no brk.
 */
uint64_t call_brk_start(const struct recording *recording);

#endif
