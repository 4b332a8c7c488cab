/* SPDX-License-Identifier: MIT */
/*
 * After the microbenchmarks of CortenMM (SOSP 2025), where each thread makes requests of one kind,
 * of one page, or for mmap of four. Each thread has a slot of 512 pages, the pages of one page
 * table. It requests the pages of its own slot one after the other (low contention), or as many of
 * all slots, shuffled (high).
 *
 * In CortenMM a thread makes 32 requests in a process of its own. Here it makes as many as the
 * slots have room for, in rounds, and the work between these is not measured.
 */
#include "corten.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>

enum {
	MMAP_PAGES = 4,
	SLOTS = 16, /* per thread: a round is then long beside the meeting after it */
	PAGES = SLOTS * SLOT_PAGES,
};

#define OWN_SIZE (SLOTS * SLOT_SIZE)

/* Gives each worker the same number of pages out of all slots. */
static void begin(struct mm_worker *worker, bool shuffled)
{
	size_t nr = (size_t)worker->threads * PAGES;
	uint64_t *pages = malloc(nr * sizeof(*pages));
	uint64_t i;

	must(worker, "malloc", pages ? 0 : ENOMEM);
	for (i = 0; i < nr; i++)
		pages[i] = i;
	for (i = nr - 1; shuffled && i > 0; i--) {
		uint64_t other = mm_random(worker) % (i + 1);
		uint64_t page = pages[i];

		pages[i] = pages[other];
		pages[other] = page;
	}
	for (i = 0; i < worker->threads; i++)
		worker->all[i].own = pages + i * PAGES;
}

void corten_begin_low(struct mm_worker *worker)
{
	begin(worker, false);
}

void corten_begin_high(struct mm_worker *worker)
{
	begin(worker, true);
}

void corten_end(struct mm_worker *worker)
{
	free(worker->all[0].own);
}

static uint64_t own_slots(const struct mm_worker *worker)
{
	return BASE + worker->id * OWN_SIZE;
}

void corten_empty(struct mm_worker *worker)
{
	unmap(worker, own_slots(worker), OWN_SIZE);
}

void corten_mapped(struct mm_worker *worker)
{
	map_at(worker, own_slots(worker), OWN_SIZE);
}

void corten_present(struct mm_worker *worker)
{
	map_at(worker, own_slots(worker), OWN_SIZE);
	fault_in(worker, own_slots(worker), OWN_SIZE);
}

static uint64_t target(const struct mm_worker *worker, unsigned int i)
{
	const uint64_t *page = worker->own;

	return BASE + page[i] * MM_PAGE_SIZE;
}

/*
 * Each fourth page begins a request of four pages; shuffled, the threads have about as many each.
 */
void corten_mmap(struct mm_worker *worker, uint64_t rounds)
{
	unsigned int i;

	while (rounds--) {
		for (i = 0; i < PAGES; i++) {
			uint64_t addr = target(worker, i);

			if (addr % (MMAP_PAGES * MM_PAGE_SIZE))
				continue;
			map_at(worker, addr, MMAP_PAGES * MM_PAGE_SIZE);
			worker->items++;
		}
	}
}

void corten_mmap_pf(struct mm_worker *worker, uint64_t rounds)
{
	unsigned int i;

	while (rounds--) {
		for (i = 0; i < PAGES; i++) {
			map_at(worker, target(worker, i), MM_PAGE_SIZE);
			worker->items += fault_in(worker, target(worker, i), MM_PAGE_SIZE);
		}
	}
}

void corten_pf(struct mm_worker *worker, uint64_t rounds)
{
	unsigned int i;

	while (rounds--)
		for (i = 0; i < PAGES; i++)
			worker->items += fault_in(worker, target(worker, i), MM_PAGE_SIZE);
}

void corten_munmap(struct mm_worker *worker, uint64_t rounds)
{
	unsigned int i;

	worker->items += rounds * PAGES;
	while (rounds--)
		for (i = 0; i < PAGES; i++)
			unmap(worker, target(worker, i), MM_PAGE_SIZE);
}
