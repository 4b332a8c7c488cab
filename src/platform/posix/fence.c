/* SPDX-License-Identifier: MIT */
/* No way to make other threads pass a fence: each passes its own. */
#include "platform/platform.h"

bool mmrange__fence_is_heavy;

bool mmrange__heavy_fence(void)
{
	mmrange__full_fence();
	return true;
}
