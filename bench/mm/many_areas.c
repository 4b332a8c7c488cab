/* SPDX-License-Identifier: MIT */
/*
 * The cost of many areas: of finding an area, and of mapping and unmapping among them.
 */
#include "many_areas.h"
#include "worker.h"

enum {
	/*
	 * Of a million areas, this many have a page: enough that no cache near the core holds the
	 * nodes that their lookups read. Page memory is at most 256 MiB, and a fault on a present
	 * page does not touch it.
	 */
	MAX_PRESENT = 1 << 16,
	CHURN_PAGES = 4,
};

/* Neighbours with different protections do not merge. */
static int prot_of(const struct mm_worker *worker, uint64_t area)
{
	return area % 2 && !worker->workload->alike ? MM_PROT_READ : READ_WRITE;
}

static uint64_t present(const struct mm_worker *worker)
{
	uint64_t areas = worker->workload->areas;

	return areas < MAX_PRESENT ? areas : MAX_PRESENT;
}

/* The page of the i-th area with a page. These areas are evenly spread, with a random offset. */
static uint64_t page_of(const struct mm_worker *worker, uint64_t i)
{
	uint64_t areas = worker->workload->areas;
	uint64_t nr = present(worker);
	uint64_t hash = (i * UINT64_C(0x9e3779b97f4a7c15)) >> 32;

	return BASE + (i * areas / nr + hash % (areas / nr)) * MM_PAGE_SIZE;
}

static void find(struct mm_worker *worker, uint64_t i)
{
	must(worker, "mm_fault",
	     worker->ops->fault(worker->mm, page_of(worker, i), MM_PROT_READ, NULL));
}

void lookup_begin(struct mm_worker *worker)
{
	uint64_t i;

	for (i = 0; i < worker->workload->areas; i++)
		map_with(worker, BASE + i * MM_PAGE_SIZE, MM_PAGE_SIZE, prot_of(worker, i),
			 PRIVATE | MM_MAP_FIXED, -1);
	for (i = 0; i < present(worker); i++)
		find(worker, i);
	worker->faults += present(worker);
}

void lookup(struct mm_worker *worker, uint64_t rounds)
{
	uint64_t nr = present(worker);

	worker->items += rounds;
	while (rounds--)
		find(worker, (mm_random(worker) >> 32) * nr >> 32);
}

/*
 * The areas lie below the end of the address space, where the library looks first: one page each,
 * and one free page between them, which is no room for a new mapping.
 */
static uint64_t churn_page(uint64_t area)
{
	return MM_ADDR_MAX - (2 * area + 2) * MM_PAGE_SIZE;
}

/* Another protection than mappings elsewhere have, so that the area does not merge with them. */
static void map_read_only(struct mm_worker *worker, uint64_t page)
{
	map_with(worker, page, MM_PAGE_SIZE, MM_PROT_READ, PRIVATE | MM_MAP_FIXED, -1);
}

void churn_begin(struct mm_worker *worker)
{
	uint64_t i;

	for (i = 0; i < worker->workload->areas; i++)
		map_read_only(worker, churn_page(i));
}

/*
 * Unmaps and maps again a random area of the thread's share, and maps and unmaps memory behind all
 * areas.
 */
void churn(struct mm_worker *worker, uint64_t rounds)
{
	uint64_t share = worker->workload->areas / worker->threads;

	worker->items += 2 * rounds;
	while (rounds--) {
		uint64_t random = (mm_random(worker) >> 32) * share >> 32;
		uint64_t page = churn_page(worker->id * share + random);
		uint64_t addr;

		unmap(worker, page, MM_PAGE_SIZE);
		map_read_only(worker, page);
		addr = map_anywhere(worker, CHURN_PAGES * MM_PAGE_SIZE);
		unmap(worker, addr, CHURN_PAGES * MM_PAGE_SIZE);
	}
}
