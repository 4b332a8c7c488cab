/* SPDX-License-Identifier: MIT */
/* POSIX cannot make other threads pass a fence: each thread passes its own. */
#include "platform/platform.h"

bool mmrange__fence_is_heavy;

bool mmrange__try_heavy_fence(void)
{
	mmrange__full_fence();
	return true;
}
