/* SPDX-License-Identifier: MIT */
/*
 * The heavy fence by membarrier(2): it interrupts the processors that run threads of this process
 * (Linux 4.14). On older systems, or where it is forbidden, each thread passes its own fence.
 */
#include "platform/platform.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

bool mmrange__fence_is_heavy;

/* Lets another thread give back memory, whatever its priority. */
static void nap_briefly(void)
{
	uint64_t end = mmrange__now() + 1000000;
	const struct timespec time = { .tv_sec = (time_t)(end / 1000000000u),
				       .tv_nsec = (long)(end % 1000000000u) };
	_Atomic(uint64_t) word = 0;

	mmrange__park(&word, 0, CLOCK_MONOTONIC, &time);
}

static bool membarrier(int command)
{
	int saved = errno;
	long result;

	/* The kernel needs memory for a list of processors. */
	while ((result = syscall(SYS_membarrier, command, 0, 0)) < 0 && errno == ENOMEM)
		nap_briefly();
	errno = saved;
	return result == 0;
}

/*
 * Before any thread uses a lock, because no thread may see the variable change. Early among the
 * constructors, because those of the program may use locks.
 */
__attribute__((constructor(101))) static void register_fence(void)
{
	mmrange__fence_is_heavy = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

bool mmrange__try_heavy_fence(void)
{
	if (mmrange__fence_is_heavy)
		return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	mmrange__full_fence();
	return true;
}
