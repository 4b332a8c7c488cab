/* SPDX-License-Identifier: MIT */
/*
 * over_leaves - one thread locks the full range, for writing, of a range lock that has a thousand
 * leaves. Before each time, unmeasured, it uses each leaf: as a writer, or as a reader until the
 * leaves are biased.
 *
 * To make the leaves, two threads hold disjoint ranges next to each other, again and again. The
 * worker notes the number of leaves, and of biased leaves. If a lock did not get them, its time
 * means nothing.
 */
#ifndef BENCH_OVER_LEAVES_H
#define BENCH_OVER_LEAVES_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

/**
 * Makes the leaves of a new lock, or as many as it can make in that time. False: there is no
 * memory, or the lock returned an error.
 */
bool over_leaves_prepare(void *lock, uint64_t ns);

bool over_leaves_plain(struct worker *worker, uint64_t pairs);
bool over_leaves_biased(struct worker *worker, uint64_t pairs);

#endif
