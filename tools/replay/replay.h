/* SPDX-License-Identifier: MIT */
/*
 * replay - does the operations of a trace in an address space, by one thread or by as many as a
 * schedule has.
 */
#ifndef REPLAY_REPLAY_H
#define REPLAY_REPLAY_H

#include "schedule.h"
#include "trace_format.h"

#include <mmrange/mm.h>

#define REPLAY_MESSAGE_SIZE 256

/* What a replay by threads took. */
struct replay_result {
	uint64_t nanoseconds; /* from the start of all threads to the end of the last */
	uint64_t waits;       /* operations that had to wait for another one */
	uint64_t parks;       /* .. so long that their thread slept */
};

/* Makes an address space for a trace. 0, or what mm_create() says. */
int replay_create_mm(const struct trace *trace, enum mm_locking locking, struct mm **mm);

/*
 * Faults so many pages in, somewhere, and frees them: so that a replay takes its pages from the
 * address space's free ones, and the time is not that of the machine's own page faults. 0, or what
 * an operation returned.
 */
int replay_warm_up(struct mm *mm, uint64_t pages);

/*
 * Does one operation. The bytes that write faults write follow from address and epoch.
 * 0; what the operation returned; ERANGE: it succeeded, but not with the result of the trace.
 */
int replay_op(struct mm *mm, const struct trace_op *op, uint32_t epoch);

/*
 * Does all operations in the order of the trace. 0 with about the most pages present at a time in
 * *peak (which may be NULL); or the error of the first that fails, named in message
 * (REPLAY_MESSAGE_SIZE bytes).
 */
int replay_sequential(const struct trace *trace, const struct schedule *schedule, struct mm *mm,
		      uint64_t *peak, char *message);

/*
 * Does all operations with the threads of the schedule. 0, or the error of the first operation
 * found to fail, named in message; the others are done even so. EAGAIN, ENOMEM: the threads could
 * not be started.
 */
int replay_parallel(const struct trace *trace, const struct schedule *schedule, struct mm *mm,
		    struct replay_result *result, char *message);

#endif
