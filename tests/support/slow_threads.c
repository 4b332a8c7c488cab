/* SPDX-License-Identifier: MIT */
/*
 * Delays threads where another one may overtake them: after a wake-up. The linker wraps the call,
 * see the CMakeLists.txt of a test that uses this. Most threads are not delayed. Some spin for
 * about as long as a step of a test takes, and a few yield once, which on a busy machine takes much
 * longer.
 */
#include "platform/platform.h"

#include <sched.h>

enum { SPINS = 1024 };

int __real_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);

static void dawdle(void)
{
	static MMRANGE__THREAD_LOCAL uint32_t seed;
	unsigned int what;

	seed = seed * UINT32_C(1664525) + UINT32_C(1013904223) + (uint32_t)mmrange__self();
	what = seed >> 28;
	if (what == 0)
		sched_yield();
	for (unsigned int i = what < 4 ? (seed >> 16) % SPINS : 0; i > 0; i--)
		mmrange__relax();
}

int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline)
{
	int error = __real_mmrange__park(word, expected, clock, deadline);

	dawdle();
	return error;
}
