/* SPDX-License-Identifier: MIT */
/*
 * short_lock - a mutex in one word, for sections of a microsecond: a thread that finds it taken
 * spins, then parks. Zero is free, so that a lock of zeros has one. (Drepper, "Futexes Are Tricky",
 * mutex2.)
 *
 * Ordering: taking it acquires, and freeing it releases.
 */
#ifndef RANGE_LOCK_SHORT_LOCK_H
#define RANGE_LOCK_SHORT_LOCK_H

#include "platform/platform.h"

enum { SHORT_LOCK_FREE, SHORT_LOCK_TAKEN, SHORT_LOCK_SLEEPERS };

static inline bool range__short_trylock(_Atomic(uint64_t) *word)
{
	uint64_t free = SHORT_LOCK_FREE;

	return atomic_compare_exchange_strong_explicit(word, &free, SHORT_LOCK_TAKEN,
						       memory_order_acquire, memory_order_relaxed);
}

static inline void range__short_lock(_Atomic(uint64_t) *word)
{
	unsigned int spins = 0;

	do
		if (range__short_trylock(word))
			return;
	while (mmrange__spin(&spins));
	while (atomic_exchange_explicit(word, SHORT_LOCK_SLEEPERS, memory_order_acquire) !=
	       SHORT_LOCK_FREE)
		mmrange__park(word, SHORT_LOCK_SLEEPERS, CLOCK_MONOTONIC, NULL);
}

static inline void range__short_unlock(_Atomic(uint64_t) *word)
{
	if (atomic_exchange_explicit(word, SHORT_LOCK_FREE, memory_order_release) ==
	    SHORT_LOCK_SLEEPERS)
		mmrange__unpark(word, false);
}

#endif
