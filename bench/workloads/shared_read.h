/* SPDX-License-Identifier: MIT */
/*
 * shared_read - measures the cost that readers impose on each other. All threads lock the full
 * range for reading, and do only a few no-ops in the section.
 */
#ifndef BENCH_SHARED_READ_H
#define BENCH_SHARED_READ_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

bool shared_read(struct worker *worker, uint64_t pairs);

#endif
