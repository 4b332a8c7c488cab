/* SPDX-License-Identifier: MIT */
/*
 * workload - what the threads do with a lock.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thread and what it works on, see worker.h. */
struct worker;

struct workload {
	const char *name;
	unsigned int writers; /* per cent of the acquisitions */
	/* Does lock+unlock pairs; false if the lock returned an error. */
	bool (*run)(struct worker *worker, uint64_t pairs);
	bool alone;   /* makes sense with one thread only */
	bool roles;   /* writers is per cent of the threads, and a thread does one or the other */
	bool ranges;  /* makes no sense for a lock without ranges */
	bool waits;   /* makes sense only as a measurement of waits */
	bool settles; /* a lock that adapts gets bench_settle_ns for that before it is measured */
	/* For range locks that adapt: prepares a new lock, for so long at most. NULL: nothing. */
	bool (*prepare)(void *lock, uint64_t ns);
	uint32_t held;    /* ranges that are held meanwhile */
	uint32_t hold_ns; /* how long each section takes, beside the visit */
};

extern const struct workload workloads[];
extern const size_t nr_workloads;

#ifdef __cplusplus
}
#endif

#endif
