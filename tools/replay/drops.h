/* SPDX-License-Identifier: MIT */
/*
 * Counts the events that a conversion could not use, by reason and kind. A conversion counts all
 * that it leaves out.
 */
#ifndef REPLAY_DROPS_H
#define REPLAY_DROPS_H

#include "perf_text.h"
#include "trace_format.h"

enum drop {
	DROP_SHAPE, /* lines */
	DROP_LONG,
	DROP_DAMAGED,
	DROP_EVENT,
	DROP_CLONE,
	DROP_PROGRAM,
	DROP_PROCESS, /* events of a known kind, from here on */
	DROP_NO_EXIT,
	DROP_NO_ENTER,
	DROP_FAILED,
	DROP_RANGE,
	DROP_UNMAPPED,
	DROP_ACCESS,
	DROP_COUNTERPART,
	DROP_NOTHING,
	DROP_HEAP,
	DROP_THREADS,
	DROPS
};

/* The kind of drops of whole lines. */
#define DROP_LINE TRACE_KINDS

struct drops {
	size_t count[DROPS][TRACE_KINDS + 1];
};

enum trace_kind drop_kind_of_fault(uint64_t error_code);
enum trace_kind drop_kind_of_syscall(enum perf_syscall syscall);

size_t drops_total(const struct drops *drops);

/* One line for each reason and kind that occurred. */
void drops_print(const struct drops *drops, FILE *file);

#endif
