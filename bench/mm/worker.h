/* SPDX-License-Identifier: MIT */
/*
 * worker - one thread of a workload, and the operations on an address space that all workloads
 * share. It shares cache lines with no other worker.
 *
 * If a call fails, the program reports it and ends, because the other threads cannot go on without
 * this one.
 */
#ifndef BENCH_MM_WORKER_H
#define BENCH_MM_WORKER_H

#include "../../tests/support/random.h"
#include "crew.h"
#include "ops.h"
#include "workload.h"

#include <stdalign.h>
#include <stdint.h>

enum { SLOT_PAGES = 512 }; /* the pages of one page table */

#define SLOT_SIZE (SLOT_PAGES * MM_PAGE_SIZE)
/* Where workloads map that choose an address: far from where the library maps. */
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
	uint64_t size;                   /* of a large mapping, in bytes */
	int fd;                          /* its file, or -1 */
	void *own;                       /* for use by the workload */
	uint64_t random;                 /* the state of mm_random() */
	uint64_t items;                  /* done so far, including the warm-up */
	uint64_t faults;                 /* by its own count, that made a page present so far */
	const _Atomic(uint64_t) *others; /* counts operations that are not items; may be NULL */
	/* Other threads write it, too: see mapbench.c and storm.c. */
	alignas(CREW_LINES) _Atomic(uint64_t) passed;
};

/* Ends the program if error is not 0. */
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

/* Maps anonymous memory where there is room, .. */
static inline uint64_t map_anywhere(struct mm_worker *worker, uint64_t length)
{
	return map_with(worker, 0, length, READ_WRITE, PRIVATE, -1);
}

/* .. or at this address. */
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

/* Touches a byte of each page, none of which is present. Returns the number of pages. */
static inline uint64_t fault_in(struct mm_worker *worker, uint64_t addr, uint64_t length)
{
	uint64_t end = addr + length;

	for (; addr < end; addr += MM_PAGE_SIZE)
		touch(worker, addr);
	worker->faults += length / MM_PAGE_SIZE;
	return length / MM_PAGE_SIZE;
}

#endif
