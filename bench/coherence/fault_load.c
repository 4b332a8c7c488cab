/* SPDX-License-Identifier: MIT */
/*
 * An operation is a page fault of a write, in an area that is the thread's own and shares no page
 * table with another. It makes a page present, which goes again: all of them after the round, or each
 * at once, as part of the operation.
 */
#include "load.h"

#include <mmrange/mm.h>

#include <string.h>

/* Far from where the library maps by itself; areas lie so far apart. */
#define BASE       (UINT64_C(1) << 40)
#define TABLE_SIZE (512 * MM_PAGE_SIZE)

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
	struct mm *mm;
	uint64_t size; /* of an area */
	enum mm_locking locking;
	bool zap_each;
} run;

static bool choose(const char *workload, const char *what)
{
	size_t i;

	run.zap_each = strcmp(workload, "fault_zap") == 0;
	if (!run.zap_each && strcmp(workload, "fault_own") != 0)
		return false;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		run.locking = modes[i].locking;
		if (strcmp(what, modes[i].name) == 0)
			return true;
	}
	return false;
}

static bool begin(uint64_t operations)
{
	struct mm_attr attr;

	run.size = run.zap_each ? TABLE_SIZE : operations * MM_PAGE_SIZE;
	mm_attr_init(&attr);
	attr.locking = run.locking;
	return mm_create(&run.mm, &attr) == 0;
}

static uint64_t area_of(const struct worker *worker)
{
	uint64_t distance = (run.size / TABLE_SIZE + 2) * TABLE_SIZE;

	return BASE + worker->own_first * distance;
}

static bool begin_thread(struct worker *worker)
{
	uint64_t addr;

	return mm_mmap(run.mm, area_of(worker), run.size, MM_PROT_READ | MM_PROT_WRITE,
		       MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_FIXED, -1, 0, &addr) == 0;
}

static bool end(void)
{
	mm_destroy(run.mm);
	return true;
}

static bool zap(uint64_t addr, uint64_t length)
{
	return mm_madvise(run.mm, addr, length, MM_MADV_DONTNEED) == 0;
}

/* The worker counts its faults where with slots it counts the increments. */
static bool operate(struct worker *worker, uint64_t random)
{
	uint64_t page = area_of(worker) + worker->increments++ * MM_PAGE_SIZE % run.size;

	(void)random;
	if (mm_fault(run.mm, page, MM_PROT_WRITE, NULL) != 0)
		return false;
	return !run.zap_each || zap(page, MM_PAGE_SIZE);
}

static bool after_round(struct worker *worker)
{
	worker->increments = 0;
	return run.zap_each || zap(area_of(worker), run.size);
}

static uint64_t changes(void)
{
	struct mm_stats stats;

	mm_get_stats(run.mm, &stats, sizeof(stats));
	return stats.lock_splits + stats.lock_merges;
}

const struct load fault_load = {
	.choose = choose,
	.begin = begin,
	.begin_thread = begin_thread,
	.end = end,
	.operate = operate,
	.after_round = after_round,
	.changes = changes,
};
