/* SPDX-License-Identifier: MIT */
#include "platform.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

MMRANGE__THREAD_LOCAL uint64_t mmrange__thread;

bool mmrange__fork_is_unseen;

uint64_t mmrange__now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/*
 * A constructor asks, early among them: the answer can take a file, which the program may have
 * given up the right to open by the time it first spins.
 */
static atomic_bool several_processors;

__attribute__((constructor(101))) static void count_processors(void)
{
	int saved = errno;

	/* relaxed: a hint */
	atomic_store_explicit(&several_processors, sysconf(_SC_NPROCESSORS_ONLN) > 1,
			      memory_order_relaxed);
	errno = saved;
}

bool mmrange__spinning_helps(void)
{
	return atomic_load_explicit(&several_processors, memory_order_relaxed);
}

/* Where a child would not learn its thread's new name in the system, no thread has such a name. */
static uint64_t name_thread(uint32_t number)
{
	uint32_t in_system = mmrange__fork_is_unseen ? number : mmrange__system_thread(number);

	return (uint64_t)in_system << 32 | number;
}

uint64_t mmrange__new_thread(void)
{
	static atomic_uint_least32_t last;
	uint32_t number;

	do {
		/* relaxed: only the value counts */
		number = (uint32_t)atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	} while (number == 0);
	mmrange__thread = name_thread(number);
	return mmrange__thread;
}

void mmrange__thread_child(void)
{
	if (mmrange__thread != 0)
		mmrange__thread = name_thread((uint32_t)mmrange__thread);
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
