/* SPDX-License-Identifier: MIT */
/* memory - the allocations of the address space. They leave errno alone, whether they fail or not. */
#ifndef MM_MEMORY_H
#define MM_MEMORY_H

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/*
 * Compilers take it that functions that allocate leave errno alone, and remove what only restores it.
 * The C library may set it all the same: the fence, which is for the compiler only, says so.
 */
static inline void mm__restore_errno(int saved)
{
	atomic_signal_fence(memory_order_seq_cst);
	errno = saved;
}

/* NULL: no memory. The memory is not cleared. */
static inline void *mm__allocate(size_t alignment, size_t size)
{
	int saved = errno;
	void *memory;

	if (posix_memalign(&memory, alignment, size))
		memory = NULL;
	mm__restore_errno(saved);
	return memory;
}

static inline void *mm__allocate_zeroed(size_t size)
{
	int saved = errno;
	void *memory = calloc(1, size);

	mm__restore_errno(saved);
	return memory;
}

/* NULL: no memory, and the old array is as it was. */
static inline void *mm__reallocate(void *array, size_t count, size_t size)
{
	int saved = errno;
	void *memory = realloc(array, count * size);

	mm__restore_errno(saved);
	return memory;
}

/* Before POSIX of 2024, free() may change errno. */
static inline void mm__free(void *memory)
{
	int saved = errno;

	free(memory);
	mm__restore_errno(saved);
}

#endif
