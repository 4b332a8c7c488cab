/* SPDX-License-Identifier: MIT */
/*
 * What can be seen of an address space: its areas and its statistics.
 */
#include "internal.h"

#define PUBLIC_FLAGS (MM_MAP_SHARED | MM_MAP_PRIVATE | MM_MAP_ANONYMOUS)

/* The next area that ends above addr. */
static bool next_area(struct mm *mm, uint64_t addr, struct mm_area *result)
{
	const struct mm__area *area;

	mm__lock(mm);
	area = mm__area_tree_find(&mm->areas, addr);
	if (area) {
		/* What was already shown of an area that has grown since is not shown again. */
		result->start = mm__max(area->start, addr);
		result->end = area->end;
		result->prot = area->prot;
		result->flags = area->flags & PUBLIC_FLAGS;
	}
	mm__unlock(mm);
	return area;
}

int mm_for_each_area(struct mm *mm, int (*visit)(const struct mm_area *area, void *arg), void *arg)
{
	struct mm_area area = { 0, 0, 0, 0 };

	while (next_area(mm, area.end, &area)) {
		int result = visit(&area, arg);

		if (result)
			return result;
	}
	return 0;
}

static void get_lock_stats(struct mm *mm, struct mm_stats *stats)
{
	struct range_lock_stats lock;

	range_lock_stats(&mm->range_lock, &lock);
	stats->lock_leaves = lock.leaves;
	stats->lock_splits = lock.splits;
	stats->lock_merges = lock.merges;
	stats->lock_waits = lock.waits;
}

void mm_get_stats(struct mm *mm, struct mm_stats *stats)
{
	mm__lock(mm);
	stats->areas = mm->areas.count;
	mm__unlock(mm);
	stats->pages = mm__frames_used(&mm->frames);
	stats->tables = mm__events(&mm->frames, MM__TABLE_MADE);
	stats->faults_minor = mm__events(&mm->frames, MM__FAULT_MINOR);
	stats->faults_present = mm__events(&mm->frames, MM__FAULT_PRESENT);
	stats->faults_failed = mm__events(&mm->frames, MM__FAULT_FAILED);
	stats->faults = stats->faults_minor + stats->faults_present + stats->faults_failed;
	get_lock_stats(mm, stats);
}
