/* SPDX-License-Identifier: MIT */
/*
 * harness - one workload on one lock with a number of threads, and the check that the lock
 * excluded.
 *
 * The work is dealt out to the threads in batches, so that all of them are busy until it is done,
 * whoever is the fastest, and bench_run() begins and ends with all of them together. Both matter
 * with more threads than cores: otherwise the time that a thread takes for its part says little
 * about how long all took.
 *
 * Whatever a thread writes all the time is on cache lines of its own.
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

/** For how long the threads work before the first measurement, where the lock adapts and the workload
 * says that what it has become is measured. Set it before all else. */
extern uint64_t bench_settle_ns;

/** What is measured: how much the threads do, or how long they wait. */
enum bench_kind { BENCH_RATE, BENCH_LATENCY };

/** What a thread did. */
struct pairs {
	uint64_t all;
	uint64_t writes;
};

/** Whether the workload means something with this lock and so many threads. */
bool bench_makes_sense(enum bench_kind kind, const struct workload *workload,
		       const struct lock_ops *ops, unsigned int threads);

/** NULL if there is no memory. The lock is made when it is first used. */
struct bench *bench_new(enum bench_kind kind, const struct workload *workload,
			const struct lock_ops *ops, unsigned int threads);

/** lock/WORKLOAD/LOCK or latency/WORKLOAD/LOCK */
const char *bench_name(const struct bench *bench);

/** Returns 0, or what the lock's destroy() said. */
int bench_delete(struct bench *bench);

/** For every thread, before all that follows, and after it: false if there is no memory, or the lock
 * cannot be had. */
bool bench_enter(struct bench *bench, unsigned int thread);
void bench_leave(struct bench *bench, unsigned int thread);

/** For one thread, before bench_run(): how many lock+unlock pairs all threads together are to do.
 */
void bench_set_work(struct bench *bench, uint64_t pairs);

/** For every thread, together: lets the lock get used to the threads, and them to it. */
void bench_warm_up(struct bench *bench, unsigned int thread);

/** For every thread: returns when all threads have called it. */
void bench_meet(struct bench *bench);

/** For every thread: does its share of the work. Returns what it did, when all is done. */
struct pairs bench_run(struct bench *bench, unsigned int thread);

/** The same with BENCH_LATENCY: all threads work for so long, and then finish what they began. */
struct pairs bench_run_for(struct bench *bench, unsigned int thread, uint64_t ns);

/** What over_leaves found before its full ranges, on average; 0 if the workload is another one. */
struct adapted {
	double leaves;
	double biased;
};

struct adapted bench_adapted(const struct bench *bench, unsigned int thread);

/** What the thread waited for in bench_run_for(). */
const struct latency *bench_latency(const struct bench *bench, unsigned int thread);

/** For one thread, when no other works: how often the lock has adapted to the load; 0 if it does not.
 */
uint64_t bench_changes(const struct bench *bench);

/** For one thread, when no other works: NULL, or what is wrong. */
const char *bench_check(const struct bench *bench);

#ifdef __cplusplus
}
#endif

#endif
