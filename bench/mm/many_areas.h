/* SPDX-License-Identifier: MIT */
#ifndef BENCH_MM_MANY_AREAS_H
#define BENCH_MM_MANY_AREAS_H

#include <stdint.h>

struct mm_worker;

void lookup_begin(struct mm_worker *worker);
void lookup(struct mm_worker *worker, uint64_t rounds);

void churn_begin(struct mm_worker *worker);
void churn(struct mm_worker *worker, uint64_t rounds);

#endif
