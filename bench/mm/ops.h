/* SPDX-License-Identifier: MIT */
/*
 * ops - the functions of an address space as the benchmarks call them, and the modes.
 *
 * The benchmarks call all modes through such a table, which is filled from a shared library that
 * the program loads at run time. So all modes pay the same for it, also for the library's
 * thread-local variables.
 */
#ifndef BENCH_MM_OPS_H
#define BENCH_MM_OPS_H

#include <mmrange/mm.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mm_ops {
	void (*attr_init)(struct mm_attr *attr);
	int (*create)(struct mm **mm, const struct mm_attr *attr);
	void (*destroy)(struct mm *mm);
	int (*mmap)(struct mm *mm, uint64_t addr, uint64_t length, int prot, int flags, int fd,
		    uint64_t offset, uint64_t *result);
	int (*munmap)(struct mm *mm, uint64_t addr, uint64_t length);
	int (*madvise)(struct mm *mm, uint64_t addr, uint64_t length, int advice);
	int (*brk)(struct mm *mm, uint64_t brk, uint64_t *result);
	int (*read)(struct mm *mm, uint64_t addr, void *buffer, size_t length,
		    struct mm_siginfo *info);
	int (*write)(struct mm *mm, uint64_t addr, const void *buffer, size_t length,
		     struct mm_siginfo *info);
	int (*fault)(struct mm *mm, uint64_t addr, int access, struct mm_siginfo *info);
	int (*write_lock)(struct mm *mm);
	void (*write_unlock)(struct mm *mm);
	int (*get_stats)(struct mm *mm, struct mm_stats *stats, size_t size);
	uint64_t (*hold_time_end)(unsigned int i);
};

struct mm_mode {
	const char *name;
	enum mm_locking locking;
	bool floor; /* one thread only, without locks and checks, see CMakeLists.txt */
	bool apart; /* each thread has a space of its own: the limit that the machine allows */
	const struct mm_ops *ops;
};

extern const struct mm_mode mm_modes[];
extern size_t nr_mm_modes;

/**
 * Fills the tables, before their use. False: a library could not be loaded, and the function has
 * printed why. before is the file of an earlier version of the library, for the mode of this name,
 * or NULL.
 */
bool mm_ops_load(const char *before);

#ifdef __cplusplus
}
#endif

#endif
