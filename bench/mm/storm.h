/* SPDX-License-Identifier: MIT */
#ifndef BENCH_MM_STORM_H
#define BENCH_MM_STORM_H

#include <stdint.h>

struct mm_worker;

void storm_begin(struct mm_worker *worker);     /* one maps and unmaps, one takes the coarse lock */
void storm_begin_map(struct mm_worker *worker); /* only the thread that maps and unmaps */
void storm_begin_busy(struct mm_worker *worker); /* a thread that only computes */
void storm_begin_none(struct mm_worker *worker);
void storm_end(struct mm_worker *worker);
void storm_fault(struct mm_worker *worker, uint64_t rounds);

#endif
