/* SPDX-License-Identifier: MIT */
#ifndef BENCH_MM_CORTEN_H
#define BENCH_MM_CORTEN_H

#include <stdint.h>

struct mm_worker;

void corten_begin_low(struct mm_worker *worker);
void corten_begin_high(struct mm_worker *worker);
void corten_end(struct mm_worker *worker);

/* The state of a slot before the requests. */
void corten_empty(struct mm_worker *worker);
void corten_mapped(struct mm_worker *worker);
void corten_present(struct mm_worker *worker);

/* The requests. */
void corten_mmap(struct mm_worker *worker, uint64_t rounds);
void corten_mmap_pf(struct mm_worker *worker, uint64_t rounds);
void corten_pf(struct mm_worker *worker, uint64_t rounds);
void corten_munmap(struct mm_worker *worker, uint64_t rounds);

#endif
