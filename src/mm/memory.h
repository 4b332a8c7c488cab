/* SPDX-License-Identifier: MIT */
/* memory - the allocations of the address space. They leave errno alone, whether they fail or not. */
#ifndef MM_MEMORY_H
#define MM_MEMORY_H

#include <errno.h>
#include <stdlib.h>

/* NULL: no memory. The memory is not cleared. */
static inline void *mm__allocate(size_t alignment, size_t size)
{
	int saved = errno;
	void *memory;

	if (posix_memalign(&memory, alignment, size))
		memory = NULL;
	errno = saved;
	return memory;
}

static inline void *mm__allocate_zeroed(size_t size)
{
	int saved = errno;
	void *memory = calloc(1, size);

	errno = saved;
	return memory;
}

/* NULL: no memory, and the old array is as it was. */
static inline void *mm__reallocate(void *array, size_t count, size_t size)
{
	int saved = errno;
	void *memory = realloc(array, count * size);

	errno = saved;
	return memory;
}

/* Before POSIX of 2024, free() may change errno. */
static inline void mm__free(void *memory)
{
	int saved = errno;

	free(memory);
	errno = saved;
}

#endif
