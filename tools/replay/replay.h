/* SPDX-License-Identifier: MIT */
/*
 * replay - does the operations of a trace in an address space, with one thread or with the threads
 * of a schedule.
 */
#ifndef REPLAY_REPLAY_H
#define REPLAY_REPLAY_H

#include "schedule.h"
#include "trace_format.h"

#include <mmrange/mm.h>

#define REPLAY_MESSAGE_SIZE 256

/* The cost of a replay by threads. */
struct replay_result {
	uint64_t nanoseconds; /* from the start of all threads to the end of the last */
	uint64_t waits;       /* operations that had to wait for another one */
	uint64_t parks;       /* .. so long that their thread slept */
};

/* Makes an address space for a trace. 0, or the error of mm_create(). */
int replay_create_mm(const struct trace *trace, enum mm_locking locking, struct mm **mm);

/*
 * Faults that many pages in, somewhere, and frees them. So a replay takes its pages from the
 * address space's free ones, and the time does not include the machine's own page faults. 0, or the
 * error of an operation.
 */
int replay_warm_up(struct mm *mm, uint64_t pages);

/*
 * Does one operation. The bytes that write faults write follow from address and epoch. 0; the error
 * of the operation; ERANGE: it succeeded, but not with the result of the trace.
 */
int replay_op(struct mm *mm, const struct trace_op *op, uint32_t epoch);

/*
 * Does all operations in the order of the trace. 0, and *peak (which may be NULL) has about the
 * greatest number of pages present at a time; or the error of the first operation that fails, named
 * in message (REPLAY_MESSAGE_SIZE bytes).
 */
int replay_sequential(const struct trace *trace, const struct schedule *schedule, struct mm *mm,
		      uint64_t *peak, char *message);

/*
 * Does all operations with the threads of the schedule. 0, or the error of the first operation
 * found to fail, named in message; the threads do the others even so. EAGAIN, ENOMEM: the function
 * could not start the threads.
 */
int replay_parallel(const struct trace *trace, const struct schedule *schedule, struct mm *mm,
		    struct replay_result *result, char *message);

#endif
