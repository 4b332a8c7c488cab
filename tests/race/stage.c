/* SPDX-License-Identifier: MIT */
/*
 * For ThreadSanitizer, relaxed atomic operations order no threads. Valgrind's tools know no atomic
 * operations: stage.supp silences their reports of these functions.
 */
#include "host.h"

#include <sched.h>
#include <stdatomic.h>

static atomic_uint ended;
static atomic_uint at_end;

__attribute__((noinline)) void await_stage(unsigned int stage)
{
	while (atomic_load_explicit(&ended, memory_order_relaxed) < stage)
		sched_yield();
}

__attribute__((noinline)) void end_stage(unsigned int stage)
{
	atomic_store_explicit(&ended, stage + 1, memory_order_relaxed);
}

__attribute__((noinline)) void reset_stage(void)
{
	atomic_store_explicit(&ended, 0, memory_order_relaxed);
	atomic_store_explicit(&at_end, 0, memory_order_relaxed);
}

__attribute__((noinline)) void await_last_stage(unsigned int threads)
{
	atomic_fetch_add_explicit(&at_end, 1, memory_order_relaxed);
	while (atomic_load_explicit(&at_end, memory_order_relaxed) < threads)
		sched_yield();
}

void await_waits(unsigned int n)
{
	struct range_lock_stats stats;

	do {
		sched_yield();
		range_lock_stats(&lock, &stats);
	} while (stats.waits < n);
}
