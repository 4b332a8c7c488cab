/* SPDX-License-Identifier: MIT */
/*
 * held - many disjoint ranges are held for all of the run, while one thread locks and unlocks
 * ranges at random free places between them, and does nothing else: what a pair costs, by how much
 * is held.
 */
#ifndef BENCH_HELD_H
#define BENCH_HELD_H

#include <stdbool.h>
#include <stdint.h>

struct lock_node;
struct lock_ops;
struct worker;

bool held_among(struct worker *worker, uint64_t pairs);

/** Locks so many ranges, as the given thread of the lock. Returns their nodes, for held_end(); NULL
 * if there is no memory or the lock returned an error. */
struct lock_node *held_begin(const struct lock_ops *ops, void *lock, void *thread, uint32_t nr);
void held_end(const struct lock_ops *ops, void *lock, struct lock_node *held, uint32_t nr);

#endif
