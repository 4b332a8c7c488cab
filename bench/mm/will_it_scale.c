/* SPDX-License-Identifier: MIT */
/*
 * After will-it-scale (github.com/antonblanchard/will-it-scale), whose threads do these operations
 * side by side in one process, each with memory and a file of its own.
 */
#include "will_it_scale.h"
#include "worker.h"

#include <errno.h>

enum { CHUNK_HEADER = 16 }; /* which malloc() writes before its result */

/* Maps memory, or the thread's file. */
static uint64_t map(struct mm_worker *worker)
{
	int flags = worker->workload->shared ? MM_MAP_SHARED : MM_MAP_PRIVATE;

	if (worker->fd < 0)
		return map_anywhere(worker, worker->size);
	return map_with(worker, 0, worker->size, READ_WRITE, flags, worker->fd);
}

void page_fault(struct mm_worker *worker, uint64_t rounds)
{
	while (rounds--) {
		uint64_t addr = map(worker);

		worker->items += fault_in(worker, addr, worker->size);
		unmap(worker, addr, worker->size);
	}
}

void map_unmap(struct mm_worker *worker, uint64_t rounds)
{
	worker->items += rounds;
	while (rounds--)
		unmap(worker, map(worker), worker->size);
}

static void set_brk(struct mm_worker *worker, uint64_t brk)
{
	uint64_t result;

	must(worker, "mm_brk", worker->ops->brk(worker->mm, brk, &result));
	if (result != brk)
		must(worker, "mm_brk", ENOMEM);
}

/* All threads move the one end of the heap between the same two places. */
void brk_back_and_forth(struct mm_worker *worker, uint64_t rounds)
{
	struct mm_attr attr;

	worker->ops->attr_init(&attr);
	worker->items += 2 * rounds;
	while (rounds--) {
		set_brk(worker, attr.brk_start + MM_PAGE_SIZE);
		set_brk(worker, attr.brk_start);
	}
}

void tlb_flush(struct mm_worker *worker, uint64_t rounds)
{
	while (rounds--) {
		uint64_t addr = map(worker);
		uint64_t end = addr + worker->size;
		uint64_t page;

		for (page = addr; page < end; page += MM_PAGE_SIZE) {
			char byte;

			touch(worker, page);
			zap(worker, page, MM_PAGE_SIZE);
			must(worker, "mm_read",
			     worker->ops->read(worker->mm, page, &byte, 1, NULL));
			if (byte)
				must(worker, "mm_madvise", EEXIST);
		}
		unmap(worker, addr, worker->size);
		worker->items += worker->size / MM_PAGE_SIZE;
		worker->faults += 2 * (worker->size / MM_PAGE_SIZE);
	}
}

/* As glibc does for this size: a mapping with a header, one page longer. */
void malloc_free(struct mm_worker *worker, uint64_t rounds)
{
	static const char header[CHUNK_HEADER] = { 0 };
	uint64_t length = worker->size + MM_PAGE_SIZE;

	worker->items += rounds;
	worker->faults += rounds;
	while (rounds--) {
		uint64_t addr = map_anywhere(worker, length);

		must(worker, "mm_write",
		     worker->ops->write(worker->mm, addr, header, sizeof(header), NULL));
		unmap(worker, addr, length);
	}
}
