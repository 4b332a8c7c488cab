/* SPDX-License-Identifier: MIT */
/*
 * The interface of a module in the tests of several copies of the library: the functions of its
 * copy.
 */
#ifndef TESTS_COPY_MODULE_H
#define TESTS_COPY_MODULE_H

#include "lock_functions.h"

#ifdef MMRANGE_WITH_MM
#include <mmrange/mm.h>
#endif

struct copy_module {
	const struct lock_functions *lock;
	int (*lock_init)(struct range_lock *lock, const struct range_lock_attr *attr);
#ifdef MMRANGE_WITH_MM
	int (*mm_create)(struct mm **mm, const struct mm_attr *attr);
	void (*mm_destroy)(struct mm *mm);
	int (*mm_mmap)(struct mm *mm, uint64_t addr, uint64_t length, int prot, int flags, int fd,
		       uint64_t offset, uint64_t *result);
	int (*mm_munmap)(struct mm *mm, uint64_t addr, uint64_t length);
	int (*mm_read)(struct mm *mm, uint64_t addr, void *buffer, size_t length,
		       struct mm_siginfo *info);
	int (*mm_write)(struct mm *mm, uint64_t addr, const void *buffer, size_t length,
			struct mm_siginfo *info);
	int (*mm_fork)(struct mm *mm, struct mm **child);
	int (*mm_read_lock)(struct mm *mm);
	int (*mm_get_stats)(struct mm *mm, struct mm_stats *stats, size_t size);
	int (*mm_validate)(struct mm *mm, char *message, size_t size);
#endif
};

#endif
