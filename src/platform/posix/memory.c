/* SPDX-License-Identifier: MIT */
/* No way to ask for huge pages. */
#include "platform/platform.h"

void mmrange__want_huge_pages(void *memory, size_t size)
{
	(void)memory;
	(void)size;
}
