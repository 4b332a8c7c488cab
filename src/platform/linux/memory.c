/* SPDX-License-Identifier: MIT */
#include "platform/platform.h"

#include <errno.h>
#include <sys/mman.h>

/* Where the system has none, or gives none to those who ask, nothing changes. */
void mmrange__want_huge_pages(void *memory, size_t size)
{
	int saved = errno;

	(void)madvise(memory, size, MADV_HUGEPAGE);
	errno = saved;
}
