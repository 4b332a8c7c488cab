/* SPDX-License-Identifier: MIT */
/*
 * uncontended - measures the cost of a pair. One thread locks and unlocks the same small range, and
 * does nothing else.
 */
#ifndef BENCH_UNCONTENDED_H
#define BENCH_UNCONTENDED_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

bool uncontended_write(struct worker *worker, uint64_t pairs);
bool uncontended_read(struct worker *worker, uint64_t pairs);

#endif
