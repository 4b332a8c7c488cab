/* SPDX-License-Identifier: MIT */
/*
 * The heavy fence by membarrier(2): it interrupts those processors that run threads of this process
 * (Linux 4.14; before, or where it is not allowed, each thread passes its own fence).
 */
#include "platform/platform.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

bool mmrange__fence_is_heavy;

static bool membarrier(int command)
{
	int saved = errno;
	long result;

	do
		result = syscall(SYS_membarrier, command, 0, 0);
	while (result < 0 && errno == ENOMEM); /* a list of processors, in the kernel */
	errno = saved;
	return result == 0;
}

/*
 * Before anybody uses a lock: nobody may see the variable change. Early among the constructors, as
 * those of the program may use locks.
 */
__attribute__((constructor(101))) static void register_fence(void)
{
	mmrange__fence_is_heavy = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

bool mmrange__heavy_fence(void)
{
	if (mmrange__fence_is_heavy)
		return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	mmrange__full_fence();
	return true;
}
