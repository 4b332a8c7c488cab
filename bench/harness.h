/* SPDX-License-Identifier: MIT */
/*
 * harness - runs one workload on one lock with a number of threads, and checks that the lock
 * excluded.
 *
 * The threads take the work in batches, so that all of them are busy until it is done, whichever is
 * the fastest. bench_run() begins and ends with all of them together. Both matter with more threads
 * than cores: otherwise the time that a thread takes for its part shows little about the time of
 * all.
 *
 * Data that a thread writes all the time is on cache lines of its own.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include "workloads/workload.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lock_ops;
struct bench;
struct latency;

/**
 * How long the threads work before the first measurement, if the lock adapts and the workload
 * measures the adapted lock. Set it before all else.
 */
extern uint64_t bench_settle_ns;

/** The measured quantity: how much work the threads do, or how long they wait. */
enum bench_kind { BENCH_RATE, BENCH_LATENCY };

/** The pairs that a thread did. */
struct pairs {
	uint64_t all;
	uint64_t writes;
};

/** Whether the workload has a meaning with this lock and this many threads. */
bool bench_makes_sense(enum bench_kind kind, const struct workload *workload,
		       const struct lock_ops *ops, unsigned int threads);

/** NULL if there is no memory. The lock is made at its first use. */
struct bench *bench_new(enum bench_kind kind, const struct workload *workload,
			const struct lock_ops *ops, unsigned int threads);

/** lock/WORKLOAD/LOCK or latency/WORKLOAD/LOCK */
const char *bench_name(const struct bench *bench);

/** Returns 0, or the error of the lock's destroy(). */
int bench_delete(struct bench *bench);

/**
 * Every thread calls it before all functions below, and once more at the end. False: there is no
 * memory, or the lock could not be made.
 */
bool bench_enter(struct bench *bench, unsigned int thread);
void bench_leave(struct bench *bench, unsigned int thread);

/**
 * One thread calls it before bench_run(), with the number of lock+unlock pairs for all threads
 * together.
 */
void bench_set_work(struct bench *bench, uint64_t pairs);

/** All threads call it together: the lock adapts to the threads, and their caches warm up. */
void bench_warm_up(struct bench *bench, unsigned int thread);

/** All threads call it. It returns when all have called it. */
void bench_meet(struct bench *bench);

/**
 * All threads call it. Each does its share of the work. Returns the thread's pairs, when all are
 * done.
 */
struct pairs bench_run(struct bench *bench, unsigned int thread);

/**
 * The same with BENCH_LATENCY: all threads work for that long, and then finish the pairs that they
 * began.
 */
struct pairs bench_run_for(struct bench *bench, unsigned int thread, uint64_t ns);

/** The averages that over_leaves found before its full ranges; 0 for any other workload. */
struct adapted {
	double leaves;
	double biased;
};

struct adapted bench_adapted(const struct bench *bench, unsigned int thread);

/** The thread's waits in bench_run_for(). */
const struct latency *bench_latency(const struct bench *bench, unsigned int thread);

/**
 * For one thread, when no other works: how often the lock has adapted to the load; 0 if it does not
 * adapt.
 */
uint64_t bench_changes(const struct bench *bench);

/** The same: how many acquisitions had to wait; 0 if the lock does not say. */
uint64_t bench_waits(const struct bench *bench);

/** For one thread, when no other works: NULL, or a description of the error. */
const char *bench_check(const struct bench *bench);

#ifdef __cplusplus
}
#endif

#endif
