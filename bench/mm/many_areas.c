/* SPDX-License-Identifier: MIT */
/*
 * What it costs that there are many areas: to look one up, and to map and unmap among them.
 */
#include "many_areas.h"
#include "worker.h"

enum {
	/* Of a million areas, so many have a page: enough that no cache near the core holds what their
	 * lookups read, and page memory of 256 MiB at most, which a fault on a present page does not
	 * touch. */
	MAX_PRESENT = 1 << 16,
	CHURN_PAGES = 4,
};

/* Neighbours that differ do not merge. */
static int prot_of(const struct mm_worker *worker, uint64_t area)
{
	return area % 2 && !worker->workload->alike ? MM_PROT_READ : READ_WRITE;
}

static uint64_t present(const struct mm_worker *worker)
{
	uint64_t areas = worker->workload->areas;

	return areas < MAX_PRESENT ? areas : MAX_PRESENT;
}

/* The page of the i-th area that has one: they are evenly spread, but for a random part. */
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

/* Below the end of the address space, where the library looks first: one page each, and a page
 * between them, where what is mapped has no room. */
static uint64_t churn_page(uint64_t area)
{
	return MM_ADDR_MAX - (2 * area + 2) * MM_PAGE_SIZE;
}

/* Not what is mapped elsewhere, so that it does not merge with that. */
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

/* A random one of the thread's share of the areas goes and comes back, and a mapping behind all of
 * them comes and goes. */
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
