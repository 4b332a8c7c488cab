/* SPDX-License-Identifier: MIT */
/* memory - allocation for the address space. These functions leave errno alone, even on failure. */
#ifndef MM_MEMORY_H
#define MM_MEMORY_H

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/*
 * Compilers assume that allocation functions leave errno alone, and remove code that only restores
 * it. But the C library may set errno. The signal fence makes the compiler keep the store, and
 * costs no instruction.
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

/* NULL: no memory; the old array is unchanged. */
static inline void *mm__reallocate(void *array, size_t count, size_t size)
{
	int saved = errno;
	void *memory = realloc(array, count * size);

	mm__restore_errno(saved);
	return memory;
}

/* free() may change errno before POSIX.1-2024. */
static inline void mm__free(void *memory)
{
	int saved = errno;

	free(memory);
	mm__restore_errno(saved);
}

#endif
