/* SPDX-License-Identifier: MIT */
/*
 * An operation is one call on an address space, or a few. Each thread works in a place of its own,
 * which shares no page table with another thread's. Where operations consume pages or mappings,
 * after_round() restores them between two rounds, where the plugin does not count.
 */
#include "load.h"

#include <mmrange/mm.h>

#include <string.h>

/* Far from where the library maps by itself; also the distance of two places. */
#define BASE       (UINT64_C(1) << 40)
#define TABLE_SIZE (512 * MM_PAGE_SIZE)

struct workload {
	const char *name;
	bool by_round; /* the place has a page for each operation of a round; otherwise 512 pages */
	/* The main thread calls it for each worker. NULL: the place is empty at first. */
	bool (*begin)(const struct worker *worker);
	bool (*operate)(struct worker *worker);
	bool (*after_round)(const struct worker *worker); /* NULL: there is nothing to restore */
};

static const struct {
	const char *name;
	enum mm_locking locking;
} modes[] = {
	{ "rwlock", MM_LOCKING_RWLOCK },
	{ "range", MM_LOCKING_RANGE },
	{ "speculative", MM_LOCKING_SPECULATIVE },
};

/* Read only while the threads run. */
static alignas(2 * CACHE_LINE) struct {
	const struct workload *workload;
	struct mm *mm;
	uint64_t size; /* of a place */
	enum mm_locking locking;
} run;

static uint64_t place_of(const struct worker *worker)
{
	uint64_t distance = (run.size / TABLE_SIZE + 2) * TABLE_SIZE;

	return BASE + worker->own_first * distance;
}

/* Here the worker's count of operations is where a slot workload counts increments. */
static uint64_t next_page(struct worker *worker)
{
	return place_of(worker) + worker->increments++ * MM_PAGE_SIZE % run.size;
}

static bool map(uint64_t addr, uint64_t length)
{
	uint64_t result;

	return mm_mmap(run.mm, addr, length, MM_PROT_READ | MM_PROT_WRITE,
		       MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED, -1, 0, &result) == 0;
}

static bool unmap(uint64_t addr)
{
	return mm_munmap(run.mm, addr, MM_PAGE_SIZE) == 0;
}

static bool fault(uint64_t addr)
{
	return mm_fault(run.mm, addr, MM_PROT_WRITE, NULL) == 0;
}

static bool advise(uint64_t addr, uint64_t length, int advice)
{
	return mm_madvise(run.mm, addr, length, advice) == 0;
}

static bool map_place(const struct worker *worker)
{
	return map(place_of(worker), run.size);
}

static bool fill_place(const struct worker *worker)
{
	return map_place(worker) && advise(place_of(worker), run.size, MM_MADV_POPULATE_WRITE);
}

static bool empty_place(const struct worker *worker)
{
	return advise(place_of(worker), run.size, MM_MADV_DONTNEED);
}

static bool fault_one(struct worker *worker)
{
	return fault(next_page(worker));
}

static bool fault_and_zap_one(struct worker *worker)
{
	uint64_t page = next_page(worker);

	return fault(page) && advise(page, MM_PAGE_SIZE, MM_MADV_DONTNEED);
}

static bool map_and_unmap_one(struct worker *worker)
{
	uint64_t page = next_page(worker);

	return map(page, MM_PAGE_SIZE) && unmap(page);
}

static bool map_fault_and_unmap_one(struct worker *worker)
{
	uint64_t page = next_page(worker);

	return map(page, MM_PAGE_SIZE) && fault(page) && unmap(page);
}

static bool unmap_one(struct worker *worker)
{
	return unmap(next_page(worker));
}

/* By turns, the call splits the area into three, and merges the three into one. */
static bool protect_one(struct worker *worker)
{
	int prot = worker->increments++ % 2 ? MM_PROT_READ | MM_PROT_WRITE : MM_PROT_READ;

	return mm_mprotect(run.mm, place_of(worker) + MM_PAGE_SIZE, MM_PAGE_SIZE, prot) == 0;
}

static const struct workload workloads[] = {
	{ "fault_own", true, map_place, fault_one, empty_place },
	{ "fault_zap", false, map_place, fault_and_zap_one, NULL },
	{ "map_own", false, NULL, map_and_unmap_one, NULL },
	{ "map_fault_unmap_own", false, NULL, map_fault_and_unmap_one, NULL },
	{ "unmap_own", true, fill_place, unmap_one, fill_place },
	{ "protect_own", false, fill_place, protect_one, NULL },
};

static bool choose(const char *workload, const char *what)
{
	size_t i;

	run.workload = NULL;
	for (i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (strcmp(workload, workloads[i].name) == 0)
			run.workload = &workloads[i];
	for (i = 0; run.workload && i < sizeof(modes) / sizeof(modes[0]); i++) {
		run.locking = modes[i].locking;
		if (strcmp(what, modes[i].name) == 0)
			return true;
	}
	return false;
}

static bool begin(uint64_t operations)
{
	struct mm_attr attr;

	run.size = run.workload->by_round ? operations * MM_PAGE_SIZE : TABLE_SIZE;
	mm_attr_init(&attr);
	attr.locking = run.locking;
	return mm_create(&run.mm, &attr) == 0;
}

static bool begin_thread(struct worker *worker)
{
	return !run.workload->begin || run.workload->begin(worker);
}

static bool end(void)
{
	mm_destroy(run.mm);
	return true;
}

static bool operate(struct worker *worker, uint64_t random)
{
	(void)random;
	return run.workload->operate(worker);
}

static bool after_round(struct worker *worker)
{
	if (!run.workload->after_round)
		return true;
	worker->increments = 0;
	return run.workload->after_round(worker);
}

static uint64_t changes(void)
{
	struct mm_stats stats;

	mm_get_stats(run.mm, &stats, sizeof(stats));
	return stats.lock_splits + stats.lock_merges;
}

const struct load mm_load = {
	.choose = choose,
	.begin = begin,
	.begin_thread = begin_thread,
	.end = end,
	.operate = operate,
	.after_round = after_round,
	.changes = changes,
};
