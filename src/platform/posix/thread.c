/* SPDX-License-Identifier: MIT */
#include "platform/platform.h"

uint32_t mmrange__system_thread(uint32_t number)
{
	/* POSIX has no number of a thread, only an opaque pthread_t. */
	return number;
}
