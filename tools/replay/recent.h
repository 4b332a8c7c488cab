/* SPDX-License-Identifier: MIT */
/*
 * recent - the latest operations on each page during a walk through a trace: the last operation
 * that changed the page's mapping, and the faults on the page since then.
 */
#ifndef REPLAY_RECENT_H
#define REPLAY_RECENT_H

#include "span_map.h"
#include "trace_format.h"

struct recent {
	struct span_map changes; /* by page: the last operation that is not a fault */
	uint64_t *pages;         /* those with faults, ascending */
	size_t page_count;
	uint32_t *
		last_fault; /* by index in pages: the last fault since the last change, + 1; or 0 */
	uint32_t *fault_before; /* by operation: the fault before it on the same page, likewise */
	uint64_t *some;         /* a bit for each element of last_fault that is not 0 */
};

/* 0 or ENOMEM. */
int recent_init(struct recent *recent, const struct trace *trace);
void recent_destroy(struct recent *recent);

/* The last change of a page, + 1; 0 if there is none. */
uint32_t recent_change(const struct recent *recent, uint64_t page);

/* Calls visit with each operation in the pages that must come before a change of them. */
void recent_visit(const struct recent *recent, struct trace_pages pages,
		  void (*visit)(uint32_t op, void *arg), void *arg);

/* Notes operation op: a fault, or a change of the pages. 0 or ENOMEM. */
void recent_note_fault(struct recent *recent, uint64_t page, uint32_t op);
int recent_note_change(struct recent *recent, struct trace_pages pages, uint32_t op);

#endif
