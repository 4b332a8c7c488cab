/* SPDX-License-Identifier: MIT */
/*
 * worker - one thread of a workload, and what all workloads do with an address space. It shares
 * cache lines with no other.
 *
 * None of the calls may fail: if one does, the program says so and ends, as the other threads cannot
 * go on without this one.
 */
#ifndef BENCH_MM_WORKER_H
#define BENCH_MM_WORKER_H

#include "../../tests/support/random.h"
#include "crew.h"
#include "ops.h"
#include "workload.h"

#include <stdalign.h>
#include <stdint.h>

enum { SLOT_PAGES = 512 }; /* what one page table holds */

#define SLOT_SIZE (SLOT_PAGES * MM_PAGE_SIZE)
/* Where workloads map that choose a place: far from where the library does. */
#define BASE       (UINT64_C(1) << 40)
#define READ_WRITE (MM_PROT_READ | MM_PROT_WRITE)
#define PRIVATE    (MM_MAP_PRIVATE | MM_MAP_ANONYMOUS)

struct mm_worker {
	alignas(CREW_LINES) const struct mm_ops *ops;
	struct mm *mm;
	const struct mm_workload *workload;
	const char *name; /* of the benchmark, for messages */
	struct crew *crew;
	struct mm_worker *all; /* the workers of all threads */
	unsigned int id;
	unsigned int threads;
	uint64_t size;   /* of a large mapping, in bytes */
	int fd;          /* its file, or -1 */
	void *own;       /* of the workload */
	uint64_t random; /* the state of mm_random() */
	uint64_t items;  /* done so far, also while warming up */
	uint64_t faults; /* that make a page present, which it must have had so far */
	const _Atomic(uint64_t) *others; /* what was done that is not counted; may be NULL */
	/* Written by others, too: see mapbench.c and storm.c. */
	alignas(CREW_LINES) _Atomic(uint64_t) passed;
};

/* The program ends if error is not 0. */
void must(const struct mm_worker *worker, const char *what, int error);

static inline uint64_t mm_random(struct mm_worker *worker)
{
	return random_next(&worker->random);
}

static inline uint64_t map_with(struct mm_worker *worker, uint64_t addr, uint64_t length, int prot,
				int flags, int fd)
{
	uint64_t result;

	must(worker, "mm_mmap",
	     worker->ops->mmap(worker->mm, addr, length, prot, flags, fd, 0, &result));
	return result;
}

/* Anonymous memory, where there is room, .. */
static inline uint64_t map_anywhere(struct mm_worker *worker, uint64_t length)
{
	return map_with(worker, 0, length, READ_WRITE, PRIVATE, -1);
}

/* .. or in this place. */
static inline void map_at(struct mm_worker *worker, uint64_t addr, uint64_t length)
{
	map_with(worker, addr, length, READ_WRITE, PRIVATE | MM_MAP_FIXED, -1);
}

static inline void unmap(struct mm_worker *worker, uint64_t addr, uint64_t length)
{
	must(worker, "mm_munmap", worker->ops->munmap(worker->mm, addr, length));
}

static inline void zap(struct mm_worker *worker, uint64_t addr, uint64_t length)
{
	must(worker, "mm_madvise",
	     worker->ops->madvise(worker->mm, addr, length, MM_MADV_DONTNEED));
}

/* Writes a byte. */
static inline void touch(struct mm_worker *worker, uint64_t addr)
{
	static const char byte = 1;

	must(worker, "mm_write", worker->ops->write(worker->mm, addr, &byte, 1, NULL));
}

/* A byte of each page, none of which is present: returns how many. */
static inline uint64_t fault_in(struct mm_worker *worker, uint64_t addr, uint64_t length)
{
	uint64_t end = addr + length;

	for (; addr < end; addr += MM_PAGE_SIZE)
		touch(worker, addr);
	worker->faults += length / MM_PAGE_SIZE;
	return length / MM_PAGE_SIZE;
}

#endif
