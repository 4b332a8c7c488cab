/* SPDX-License-Identifier: MIT */
/*
 * lock - what the zeros of RANGE_LOCK_INITIALIZER stand for.
 */
#ifndef RANGE_LOCK_LOCK_H
#define RANGE_LOCK_LOCK_H

#include "layout.h"

#include <stdbool.h>

enum {
	RANGE__DEFAULT_LEAVES = 1024,
	RANGE__DEFAULT_STARVATION = 500000, /* nanoseconds */
};

/* magic: of a lock of zeros, of a lock that range_lock_init() made, and of a destroyed lock. */
#define RANGE__ZEROED    UINT32_C(0)
#define RANGE__ALIVE     UINT32_C(0x72616e67)
#define RANGE__DESTROYED UINT32_C(0x646f6e65)

static inline bool range__is_alive(const struct range__lock *lock)
{
	return lock->magic == RANGE__ZEROED || lock->magic == RANGE__ALIVE;
}

static inline bool range__is_closed(const struct range__lock *lock)
{
	/* relaxed: [CLOSE-1] */
	return atomic_load_explicit(&lock->closed, memory_order_relaxed);
}

static inline uint32_t range__max_leaves(const struct range__lock *lock)
{
	return lock->max_leaves ? lock->max_leaves : RANGE__DEFAULT_LEAVES;
}

static inline uint64_t range__starvation(const struct range__lock *lock)
{
	return lock->starvation_more_ns + RANGE__DEFAULT_STARVATION;
}

#endif
