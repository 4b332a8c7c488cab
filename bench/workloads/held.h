/* SPDX-License-Identifier: MIT */
/*
 * held - measures the cost of a pair by the number of held ranges. Many disjoint ranges are held
 * during the whole run. One thread locks and unlocks ranges at random free places between them, and
 * does nothing else.
 */
#ifndef BENCH_HELD_H
#define BENCH_HELD_H

#include <stdbool.h>
#include <stdint.h>

struct lock_node;
struct lock_ops;
struct worker;

bool held_among(struct worker *worker, uint64_t pairs);

/**
 * Locks this many ranges, as the given thread of the lock. Returns their nodes, for held_end();
 * NULL if there is no memory or the lock returned an error.
 */
struct lock_node *held_begin(const struct lock_ops *ops, void *lock, void *thread, uint32_t nr);
void held_end(const struct lock_ops *ops, void *lock, struct lock_node *held, uint32_t nr);

#endif
