/* SPDX-License-Identifier: MIT */
/*
 * busy - work that takes time and touches no memory.
 */
#ifndef BENCH_BUSY_H
#define BENCH_BUSY_H

#include <stdatomic.h>
#include <stdint.h>

/** No-ops that the compiler keeps. */
static inline void busy(uint64_t loops)
{
	while (loops--)
		atomic_signal_fence(memory_order_seq_cst);
}

/**
 * The number of loops with which busy_hold() takes this many nanoseconds on this machine; 0 for 0.
 * The first call measures it; no other thread may run meanwhile.
 */
uint64_t busy_loops(uint64_t ns);

/** As busy(), but always the same code, so that the measurement holds. */
void busy_hold(uint64_t loops);

#endif
