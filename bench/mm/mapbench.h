/* SPDX-License-Identifier: MIT */
#ifndef BENCH_MM_MAPBENCH_H
#define BENCH_MM_MAPBENCH_H

#include <stdint.h>

struct mm_worker;

void mapbench_local(struct mm_worker *worker, uint64_t rounds);
void mapbench_pipeline(struct mm_worker *worker, uint64_t rounds);
void mapbench_global(struct mm_worker *worker, uint64_t rounds);

#endif
