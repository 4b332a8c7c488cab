/* SPDX-License-Identifier: MIT */
/*
 * schedule - which thread of a replay does which operations of a trace, and for which operations
 * each has to wait.
 *
 * An operation depends on the earlier operations of other threads that have a page in common with
 * it, unless both are faults. The schedule keeps only those dependencies that others, and the order
 * within threads, do not imply. So the outcome of each operation, and the address space after the
 * last, are as in the trace's own order, and all else runs in parallel.
 *
 * This also holds for the bytes that faults write, because they do not depend on which of two
 * faults comes first: see schedule.epoch.
 */
#ifndef REPLAY_SCHEDULE_H
#define REPLAY_SCHEDULE_H

#include "trace_format.h"

/* Wait until a thread has done that many of its operations. */
struct dependency {
	uint32_t thread;
	uint32_t count;
};

struct schedule {
	uint32_t threads;
	uint32_t *first_op; /* threads + 1: where in order a thread's operations begin */
	uint32_t *order; /* operations by thread, and for each thread in the order of the trace */
	uint32_t *first_dependency; /* by operation, and one more */
	struct dependency *dependencies;
	bool *awaited; /* by operation: other operations depend on it */
	/*
	 * By fault: the last operation before it that changed its page's mapping, + 1. Faults with
	 * the same address and epoch write the same bytes. Faults with the same page and different
	 * epochs are ordered.
	 */
	uint32_t *epoch;
};

/*
 * threads: 0 for those of the trace; with fewer, each does the work of several. 0 or ENOMEM. On
 * error *schedule is all zeroes.
 */
int schedule_create(struct schedule *schedule, const struct trace *trace, uint32_t threads);
void schedule_destroy(struct schedule *schedule);

#endif
