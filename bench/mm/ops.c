/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static struct mm_ops library_ops;
static struct mm_ops floor_ops;
static struct mm_ops before_ops;

const struct mm_mode mm_modes[] = {
	{ "floor", MM_LOCKING_SPECULATIVE, .floor = true, .ops = &floor_ops },
	{ "rwlock", MM_LOCKING_RWLOCK, .ops = &library_ops },
	{ "coarse", MM_LOCKING_COARSE, .ops = &library_ops },
	{ "range", MM_LOCKING_RANGE, .ops = &library_ops },
	{ "speculative", MM_LOCKING_SPECULATIVE, .ops = &library_ops },
	{ "apart", MM_LOCKING_SPECULATIVE, .apart = true, .ops = &library_ops },
	/* Last, because this mode exists only if the user names a library. */
	{ "before", MM_LOCKING_SPECULATIVE, .ops = &before_ops },
};

size_t nr_mm_modes = sizeof(mm_modes) / sizeof(mm_modes[0]) - 1;

/* Stores into a pointer to a function, since C does not convert a pointer to data to one. */
static bool find(void *library, const char *name, void *function)
{
	void *found = dlsym(library, name);

	if (!found) {
		fprintf(stderr, "mmrange-bench: %s\n", dlerror());
		return false;
	}
	memcpy(function, &found, sizeof(found));
	return true;
}

/* RTLD_LOCAL: the two libraries have the same names. */
static bool load(struct mm_ops *ops, const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!library) {
		fprintf(stderr, "mmrange-bench: %s\n", dlerror());
		return false;
	}
	return find(library, "mm_attr_init", &ops->attr_init) &&
	       find(library, "mm_create", &ops->create) &&
	       find(library, "mm_destroy", &ops->destroy) && find(library, "mm_mmap", &ops->mmap) &&
	       find(library, "mm_munmap", &ops->munmap) &&
	       find(library, "mm_madvise", &ops->madvise) && find(library, "mm_brk", &ops->brk) &&
	       find(library, "mm_read", &ops->read) && find(library, "mm_write", &ops->write) &&
	       find(library, "mm_fault", &ops->fault) &&
	       find(library, "mm_write_lock", &ops->write_lock) &&
	       find(library, "mm_write_unlock", &ops->write_unlock) &&
	       find(library, "mm_hold_time_end", &ops->hold_time_end) &&
	       find(library, "mm_get_stats", &ops->get_stats);
}

bool mm_ops_load(const char *before)
{
	if (before && !load(&before_ops, before))
		return false;
	if (before)
		nr_mm_modes++;
	return load(&library_ops, BENCH_LIBRARY) && load(&floor_ops, BENCH_FLOOR);
}
