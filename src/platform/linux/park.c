/* SPDX-License-Identifier: MIT */
/* Parking by futex(2). */
#include "platform/platform.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where time_t is wider than long, the old system call would take the wrong struct timespec. */
#ifndef SYS_futex
#define SYS_FUTEX SYS_futex_time64
#elif defined(SYS_futex_time64)
#define SYS_FUTEX (sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex)
#else
#define SYS_FUTEX SYS_futex
#endif

static uint32_t *low_half(_Atomic(uint64_t) *word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return (uint32_t *)(void *)word + 1;
#else
	return (uint32_t *)(void *)word;
#endif
}

static bool has_passed(clockid_t clock, const struct timespec *deadline)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec > deadline->tv_sec ||
	       (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

int mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
		  const struct timespec *deadline)
{
	int op = FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG;
	int saved = errno;
	int error = 0;

	if (clock == CLOCK_REALTIME)
		op |= FUTEX_CLOCK_REALTIME;
	/*
	 * EAGAIN (the word has changed) and EINTR are early returns. The other errors are a time
	 * before 1970, or a system without this call: then the caller looks again and again until
	 * the deadline.
	 */
	if (syscall(SYS_FUTEX, low_half(word), op, (uint32_t)expected, deadline, NULL,
		    FUTEX_BITSET_MATCH_ANY) < 0 &&
	    errno != EAGAIN && errno != EINTR) {
		if (errno == ETIMEDOUT || (deadline && has_passed(clock, deadline)))
			error = ETIMEDOUT;
		else
			sched_yield();
	}
	errno = saved;
	return error;
}

void mmrange__unpark(_Atomic(uint64_t) *word, bool all)
{
	int saved = errno;

	syscall(SYS_FUTEX, low_half(word), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, all ? INT_MAX : 1);
	errno = saved;
}

void mmrange__park_child(void)
{
	/* The kernel knows which threads are parked. */
}
