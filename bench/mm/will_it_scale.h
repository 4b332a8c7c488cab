/* SPDX-License-Identifier: MIT */
#ifndef BENCH_MM_WILL_IT_SCALE_H
#define BENCH_MM_WILL_IT_SCALE_H

#include <stdint.h>

struct mm_worker;

void page_fault(struct mm_worker *worker, uint64_t rounds);
void map_unmap(struct mm_worker *worker, uint64_t rounds);
void brk_back_and_forth(struct mm_worker *worker, uint64_t rounds);
void tlb_flush(struct mm_worker *worker, uint64_t rounds);
void malloc_free(struct mm_worker *worker, uint64_t rounds);

#endif
