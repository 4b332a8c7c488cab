/* SPDX-License-Identifier: MIT */
#include "platform.h"

#include <errno.h>
#include <unistd.h>

MMRANGE__THREAD_LOCAL uintptr_t mmrange__thread_number;

uint64_t mmrange__now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool mmrange__spinning_helps(void)
{
	static atomic_long processors;
	/* relaxed: whoever finds 0 asks again, with the same answer */
	long n = atomic_load_explicit(&processors, memory_order_relaxed);

	if (n == 0) {
		int saved = errno;

		n = sysconf(_SC_NPROCESSORS_ONLN);
		errno = saved;
		atomic_store_explicit(&processors, n, memory_order_relaxed);
	}
	return n > 1;
}

uintptr_t mmrange__new_thread_number(void)
{
	static atomic_uintptr_t last;

	/* relaxed: only the value counts */
	mmrange__thread_number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	return mmrange__thread_number;
}
