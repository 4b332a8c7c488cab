/* SPDX-License-Identifier: MIT */
/*
 * workload - the operations of the threads on an address space.
 */
#ifndef BENCH_MM_WORKLOAD_H
#define BENCH_MM_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thread, see worker.h. */
struct mm_worker;

struct mm_workload {
	const char *name;
	/*
	 * One thread calls begin() when the space is new, and end() before it ends. Each may be
	 * NULL.
	 */
	void (*begin)(struct mm_worker *worker);
	void (*end)(struct mm_worker *worker);
	/* Does this many rounds. */
	void (*run)(struct mm_worker *worker, uint64_t rounds);
	/* Before each round, unmeasured: all threads do such a round together. */
	void (*prepare)(struct mm_worker *worker);
	uint32_t areas; /* the number of other areas in the space */
	bool alike;     /* the other areas have one protection, so that they merge into one */
	bool alone;     /* for one thread only */
	bool others;    /* with threads that are not counted: not for the floor */
	bool together;  /* each thread does all rounds; otherwise the threads share them */
	bool meets;     /* threads use mappings of other threads: they need one space */
	bool keep;      /* the space is expensive to make: it lives until the program ends */
	bool file;      /* each thread has a file of its own */
	bool shared;    /* and the thread maps it shared */
	bool own_place; /* each thread maps in its own part of the space */
};

extern const struct mm_workload mm_workloads[];
extern const size_t nr_mm_workloads;

#ifdef __cplusplus
}
#endif

#endif
