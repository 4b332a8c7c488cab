/* SPDX-License-Identifier: MIT */
/*
 * busy - work that takes time and touches nothing.
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

/** How many loops of busy_hold() take so many nanoseconds on this machine; 0 for 0. The first call
 * measures it, and no other may run meanwhile. */
uint64_t busy_loops(uint64_t ns);

/** busy(), and always the same code, so that what was measured holds. */
void busy_hold(uint64_t loops);

#endif
