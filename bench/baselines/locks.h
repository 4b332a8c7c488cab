/* SPDX-License-Identifier: MIT */
/*
 * locks - the locks of this build.
 */
#ifndef BENCH_LOCKS_H
#define BENCH_LOCKS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lock_ops;

extern const struct lock_ops *const locks[];
extern const size_t nr_locks;

#ifdef __cplusplus
}
#endif

#endif
