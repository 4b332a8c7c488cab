/* SPDX-License-Identifier: MIT */
/*
 * bench - runs one workload on an address space in one mode with a number of threads, and checks
 * it: the space counted as many faults as the threads, and no page is left.
 */
#ifndef BENCH_MM_BENCH_H
#define BENCH_MM_BENCH_H

#include <mmrange/mm.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mm_bench;
struct mm_mode;
struct mm_workload;

/** Whether the workload has a meaning in this mode and with this many threads. */
bool mm_bench_makes_sense(const struct mm_workload *workload, const struct mm_mode *mode,
			  unsigned int threads);

/** NULL if there is no memory. */
struct mm_bench *mm_bench_new(const struct mm_workload *workload, const struct mm_mode *mode,
			      unsigned int threads);

/** mm/WORKLOAD/MODE */
const char *mm_bench_name(const struct mm_bench *bench);

void mm_bench_delete(struct mm_bench *bench);

/** Sets the size of a large mapping, for all benchmarks; before the first begins. */
void mm_bench_set_size(uint64_t bytes);

/** All threads call it together: makes the space and warms it up. */
void mm_bench_enter(struct mm_bench *bench, unsigned int thread);

/** One thread calls it before mm_bench_prepare(), with the number of rounds for all threads. */
void mm_bench_set_work(struct mm_bench *bench, uint64_t rounds);

/** Whether the caller has to call mm_bench_run() for each single round. */
bool mm_bench_by_rounds(const struct mm_bench *bench);

/** All threads call it together, before each mm_bench_run(): the unmeasured part. */
void mm_bench_prepare(struct mm_bench *bench, unsigned int thread);

/**
 * All threads call it together. Each does its share of the rounds or, of a workload whose rounds
 * all threads do, this many. Returns the number of the thread's items, when all threads are done.
 */
uint64_t mm_bench_run(struct mm_bench *bench, unsigned int thread, uint64_t rounds);

/** The results of a run, of all threads together. */
struct mm_result {
	const char *error;        /* NULL, or a description of the error */
	uint64_t others;          /* operations of threads that are not counted as items */
	double aborted_per_fault; /* of speculative faults; < 0: there were none */
	uint64_t hold_p50_ns;     /* of the VMA tree lock; 0: unknown */
	uint64_t hold_p99_ns;
};

/** All threads call it together, at the end: destroys the space. The result is for thread 0. */
struct mm_result mm_bench_leave(struct mm_bench *bench, unsigned int thread);

#ifdef __cplusplus
}
#endif

#endif
