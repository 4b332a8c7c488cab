/* SPDX-License-Identifier: MIT */
#include "platform.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

MMRANGE__THREAD_LOCAL uint64_t mmrange__thread;

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

static uint64_t name(uint32_t number)
{
	return (uint64_t)mmrange__system_thread(number) << 32 | number;
}

uint64_t mmrange__new_thread(void)
{
	static atomic_uint_least32_t last;
	uint32_t number;

	do {
		/* relaxed: only the value counts */
		number = (uint32_t)atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	} while (number == 0);
	mmrange__thread = name(number);
	return mmrange__thread;
}

void mmrange__thread_child(void)
{
	if (mmrange__thread != 0)
		mmrange__thread = name((uint32_t)mmrange__thread);
}

int mmrange__cancel_disable(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

void mmrange__cancel_restore(int state)
{
	pthread_setcancelstate(state, NULL);
}
