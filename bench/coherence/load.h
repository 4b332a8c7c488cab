/* SPDX-License-Identifier: MIT */
/*
 * load - the work of coherence-driver's threads: operations on a lock, or on an address space.
 */
#ifndef COHERENCE_LOAD_H
#define COHERENCE_LOAD_H

#include "workloads/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All but the first return false if there is no memory, or if an operation returned an error. */
struct load {
	/* Whether the load has this workload on this lock or mode. */
	bool (*choose)(const char *workload, const char *what);
	/* One thread calls these in this order: before all, for each thread, after all. */
	bool (*begin)(uint64_t operations_of_a_round);
	bool (*begin_thread)(struct worker *worker);
	bool (*end)(void);
	/* Each thread calls it. */
	bool (*operate)(struct worker *worker, uint64_t random);
	/* The uncounted part; may be NULL. */
	bool (*after_round)(struct worker *worker);
	/* How often the lock has adapted to the load. */
	uint64_t (*changes)(void);
};

extern const struct load lock_load;
extern const struct load mm_load;

/* Zeroed, and on cache lines of its own; NULL if there is no memory. */
void *new_lines(size_t size);

#endif
