/* SPDX-License-Identifier: MIT */
#include "platform/platform.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * A sandbox may forbid gettid(), but the C library knows the number, and tells it in the name of
 * the thread's processor-time clock without a system call: glibc and musl keep it in the thread's
 * descriptor, and fork() updates it there (nptl/pthread_getcpuclockid.c, musl's
 * src/thread/pthread_getcpuclockid.c). That name is part of the kernel's ABI: the complement of the
 * number, shifted by three; then one bit says that the clock is of a thread, and two say that it
 * counts all of its time (include/linux/posix-timers_types.h, CPUCLOCK_PERTHREAD_MASK and
 * CPUCLOCK_SCHED).
 */
enum { THREAD_CLOCK = 4 | 2, CLOCK_TYPE_MASK = 7, CLOCK_TYPE_BITS = 3 };

uint32_t mmrange__system_thread(uint32_t number)
{
	clockid_t clock;

	(void)number;
	if (!pthread_getcpuclockid(pthread_self(), &clock)) {
		uint32_t id = (uint32_t)clock;

		if (clock < 0 && (id & CLOCK_TYPE_MASK) == THREAD_CLOCK)
			return ~(id >> CLOCK_TYPE_BITS) & (UINT32_MAX >> CLOCK_TYPE_BITS);
	}
	/* By number: the C library has gettid() since glibc 2.30 only. It cannot fail. */
	return (uint32_t)syscall(SYS_gettid);
}
