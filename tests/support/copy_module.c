/* SPDX-License-Identifier: MIT */
/* A module that a program loads, like a plugin that uses the library. */
#include "copy_module.h"

extern __attribute__((visibility("default"))) const struct copy_module copy_module;

const struct copy_module copy_module = {
	.lock = &library_functions,
	.lock_init = range_lock_init,
#ifdef MMRANGE_WITH_MM
	.mm_create = mm_create,
	.mm_destroy = mm_destroy,
	.mm_mmap = mm_mmap,
	.mm_munmap = mm_munmap,
	.mm_read = mm_read,
	.mm_write = mm_write,
	.mm_fork = mm_fork,
	.mm_read_lock = mm_read_lock,
	.mm_get_stats = mm_get_stats,
	.mm_validate = mm_validate,
#endif
};
