/* SPDX-License-Identifier: MIT */
#include "message.h"
#include "platform.h"

void mmrange__heavy_fence(void)
{
	if (!mmrange__try_heavy_fence())
		mmrange__stop("membarrier() has been forbidden while the library relied on it");
}
