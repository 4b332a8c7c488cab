/* SPDX-License-Identifier: MIT */
/*
 * schedule - which thread of a replay does which operations of a trace, and what each has to wait
 * for.
 *
 * An operation depends on the earlier ones of other threads that have a page in common with it,
 * unless both are faults. Of these, only those are kept that are not implied by others and by the
 * order within threads. So the outcome of each operation, and the address space after the last, are
 * those of the trace's own order, and everything else is left to run in parallel.
 *
 * That holds for the bytes that faults write because they do not depend on which of two faults
 * comes first: see schedule.epoch.
 */
#ifndef REPLAY_SCHEDULE_H
#define REPLAY_SCHEDULE_H

#include "trace_format.h"

/* Wait until a thread has done so many of its operations. */
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
	bool *awaited; /* by operation: others depend on it */
	/*
	 * By fault: the last operation before it that changed its page's mapping, + 1. Faults with
	 * the same address and epoch write the same bytes, those with the same page and another
	 * epoch are ordered.
	 */
	uint32_t *epoch;
};

/*
 * threads: 0 for those of the trace; with fewer, each does the work of several.
 * 0 or ENOMEM. On error *schedule is all zeroes.
 */
int schedule_create(struct schedule *schedule, const struct trace *trace, uint32_t threads);
void schedule_destroy(struct schedule *schedule);

#endif
