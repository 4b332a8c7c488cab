/* SPDX-License-Identifier: MIT */
/*
 * workload - what the threads do with an address space.
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
	/* For one thread, when the space is new, and before it ends: may be NULL. */
	void (*begin)(struct mm_worker *worker);
	void (*end)(struct mm_worker *worker);
	/* Does so many rounds. */
	void (*run)(struct mm_worker *worker, uint64_t rounds);
	/* Before each round, outside of the measurement: such a round is one of all threads together. */
	void (*prepare)(struct mm_worker *worker);
	uint32_t areas; /* that there are beside */
	bool alike;     /* they are, so that they are one */
	bool alone;     /* one thread only */
	bool others;    /* with threads that are not counted: not for the floor */
	bool together;  /* each thread does all rounds; else they are dealt out */
	bool meets;     /* threads use what others have mapped: they need one space */
	bool keep;      /* the space is dear to make: it lives until the program ends */
	bool file;      /* each thread has a file of its own */
	bool shared;    /* and maps it shared */
	bool own_place; /* each thread maps in a place of its own */
};

extern const struct mm_workload mm_workloads[];
extern const size_t nr_mm_workloads;

#ifdef __cplusplus
}
#endif

#endif
