/* SPDX-License-Identifier: MIT */
/*
 * load - what coherence-driver's threads do: operations on a lock, or on an address space.
 */
#ifndef COHERENCE_LOAD_H
#define COHERENCE_LOAD_H

#include "workloads/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All but the first return false if there is no memory, or something returned an error. */
struct load {
	/* Whether there is this workload, on this. */
	bool (*choose)(const char *workload, const char *what);
	/* By one thread, in this order: before all, for each thread, after all. */
	bool (*begin)(uint64_t operations_of_a_round);
	bool (*begin_thread)(struct worker *worker);
	bool (*end)(void);
	/* By each thread. */
	bool (*operate)(struct worker *worker, uint64_t random);
	/* What is not counted; may be NULL. */
	bool (*after_round)(struct worker *worker);
	/* How often what adapts to the load has changed. */
	uint64_t (*changes)(void);
};

extern const struct load lock_load;
extern const struct load mm_load;

/* Zeroed, and on cache lines of its own; NULL if there is no memory. */
void *new_lines(size_t size);

#endif
