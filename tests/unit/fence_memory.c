/* SPDX-License-Identifier: MIT */
/*
 * The heavy fence where the kernel has no memory for it. The linker wraps syscall() in this program
 * for that.
 */
#include "test.h"

#include "platform/platform.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>

static unsigned int refusals, naps;

/* The linker redirects syscall() to these, by --wrap. */
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (number == SYS_membarrier && refusals > 0) {
		refusals--;
		errno = ENOMEM;
		return -1;
	}
	naps += number != SYS_membarrier;
	return __real_syscall(number, a, b, c, d, e, f);
}

TEST(fence_memory, a_thread_sleeps_until_there_is_memory)
{
	if (!mmrange__fence_is_heavy) {
		puts("skipped: there is no membarrier() here");
		return;
	}
	refusals = 3;
	naps = 0;
	errno = 4711;
	CHECK(mmrange__try_heavy_fence());
	CHECK_EQ(refusals, 0);
	CHECK_EQ(naps, 3);
	CHECK_EQ(errno, 4711);
}
