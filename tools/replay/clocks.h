/* SPDX-License-Identifier: MIT */
/*
 * clocks - vector clocks: for each operation, how many operations of each thread are known to be
 * done when this one is done. An operation that waits for nothing knows the same as the operation
 * before it in its thread, and shares its clock.
 *
 * Their memory is bounded. When it is used up, operations share older clocks, which know less. A
 * clock that knows too little only costs an unneeded dependency.
 */
#ifndef REPLAY_CLOCKS_H
#define REPLAY_CLOCKS_H

#include <stddef.h>
#include <stdint.h>

#define CLOCKS_MAX_BYTES ((size_t)64 << 20)

struct clocks {
	uint32_t threads;
	uint32_t *values; /* clocks of threads elements each; number 0 knows of nothing */
	size_t count;
	size_t capacity;
	size_t max;
};

/* 0 or ENOMEM. */
int clocks_init(struct clocks *clocks, uint32_t threads, size_t max_bytes);
void clocks_destroy(struct clocks *clocks);

/* A clock's elements; valid until the next clocks_add(). */
const uint32_t *clocks_get(const struct clocks *clocks, uint32_t clock);

/*
 * Stores the elements, which lie outside of clocks, as a clock. 0 with its number, or ENOMEM; if
 * the store is full, the number is before.
 */
int clocks_add(struct clocks *clocks, const uint32_t *elements, uint32_t before, uint32_t *clock);

/* Adds a clock's knowledge to elements. */
void clocks_merge(const struct clocks *clocks, uint32_t clock, uint32_t *elements);

#endif
