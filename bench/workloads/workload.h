/* SPDX-License-Identifier: MIT */
/*
 * workload - the operations of the threads on a lock.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thread and the data that it works on, see worker.h. */
struct worker;

struct workload {
	const char *name;
	unsigned int writers; /* per cent of the acquisitions */
	/* Does lock+unlock pairs; false if the lock returned an error. */
	bool (*run)(struct worker *worker, uint64_t pairs);
	bool alone; /* for one thread only */
	bool roles; /* writers is per cent of the threads, and a thread only reads or only writes */
	bool ranges;  /* only for a lock with ranges */
	bool waits;   /* only as a measurement of waits */
	bool settles; /* a lock that adapts gets bench_settle_ns to do so before the measurement */
	/*
	 * For range locks that adapt: prepares a new lock, for at most this long. NULL: no
	 * preparation.
	 */
	bool (*prepare)(void *lock, uint64_t ns);
	bool async;         /* only for a lock with asynchronous acquisition */
	uint32_t in_flight; /* the number of requests of each thread's event loop */
	uint32_t slots;     /* 0: NR_SLOTS */
	uint32_t held;      /* the number of other ranges that are held */
	uint32_t hold_ns;   /* the time of each section, without the visit of the slots */
};

extern const struct workload workloads[];
extern const size_t nr_workloads;

#ifdef __cplusplus
}
#endif

#endif
