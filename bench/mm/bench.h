/* SPDX-License-Identifier: MIT */
/*
 * bench - one workload on an address space in one mode with a number of threads, and the check that
 * it did what was counted: as many pages were faulted in as the threads say, and none is left.
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

/** Whether the workload means something in this mode and with so many threads. */
bool mm_bench_makes_sense(const struct mm_workload *workload, const struct mm_mode *mode,
			  unsigned int threads);

/** NULL if there is no memory. */
struct mm_bench *mm_bench_new(const struct mm_workload *workload, const struct mm_mode *mode,
			      unsigned int threads);

/** mm/WORKLOAD/MODE */
const char *mm_bench_name(const struct mm_bench *bench);

void mm_bench_delete(struct mm_bench *bench);

/** How large a large mapping is, for all benchmarks; before the first begins. */
void mm_bench_set_size(uint64_t bytes);

/** For every thread, together: makes the space and gets it warm. */
void mm_bench_enter(struct mm_bench *bench, unsigned int thread);

/** For one thread, before mm_bench_prepare(): how many rounds are to be dealt out. */
void mm_bench_set_work(struct mm_bench *bench, uint64_t rounds);

/** Whether mm_bench_run() has to be called for each single round. */
bool mm_bench_by_rounds(const struct mm_bench *bench);

/** For every thread, together, before each mm_bench_run(): what is not measured. */
void mm_bench_prepare(struct mm_bench *bench, unsigned int thread);

/** For every thread, together: its share of the rounds; or of a workload of which all threads do each
 * round, so many. Returns how many items it did, when all are done. */
uint64_t mm_bench_run(struct mm_bench *bench, unsigned int thread, uint64_t rounds);

/** What happened while it ran, all threads together. */
struct mm_result {
	const char *error;        /* NULL, or what is wrong */
	uint64_t others;          /* what threads did that are not counted */
	double aborted_per_fault; /* speculative faults that were aborted; < 0: there were none */
	uint64_t hold_p50_ns;     /* the short mm lock; 0: not known */
	uint64_t hold_p99_ns;
};

/** For every thread, together, at the end: the space goes. The result is for thread 0. */
struct mm_result mm_bench_leave(struct mm_bench *bench, unsigned int thread);

#ifdef __cplusplus
}
#endif

#endif
