/* SPDX-License-Identifier: MIT */
/*
 * shared_read - all threads lock the full range for reading, and touch nothing in the section but
 * for a few no-ops: what readers cost each other.
 */
#ifndef BENCH_SHARED_READ_H
#define BENCH_SHARED_READ_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

bool shared_read(struct worker *worker, uint64_t pairs);

#endif
