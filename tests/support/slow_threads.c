/* SPDX-License-Identifier: MIT */
/*
 * Delays threads where another one may overtake them: after they have been woken, and between the
 * ranges of range_lock_many(). The linker wraps the calls, see the CMakeLists.txt of a test that uses
 * this. Half of the threads are never delayed, and others for up to about as long as a step of a
 * test takes.
 */
#include "platform/platform.h"

#include <mmrange/range_lock.h>

#include <sched.h>

enum { YIELDS = 256 };

int __real_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
int __real_range_trylock(struct range_lock *lock, struct range *range, uint64_t start, uint64_t end,
			 enum range_mode mode);
int __wrap_range_trylock(struct range_lock *lock, struct range *range, uint64_t start, uint64_t end,
			 enum range_mode mode);

static void dawdle(void)
{
	static MMRANGE__THREAD_LOCAL uint32_t seed;
	unsigned int n;

	seed = seed * UINT32_C(1664525) + UINT32_C(1013904223) + (uint32_t)mmrange__self();
	n = (seed >> 16) % YIELDS;
	for (n = n < YIELDS / 2 ? 0 : n - YIELDS / 2; n > 0; n--)
		sched_yield();
}

int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline)
{
	int error = __real_mmrange__park(word, expected, clock, deadline);

	dawdle();
	return error;
}

int __wrap_range_trylock(struct range_lock *lock, struct range *range, uint64_t start, uint64_t end,
			 enum range_mode mode)
{
	dawdle();
	return __real_range_trylock(lock, range, start, end, mode);
}
