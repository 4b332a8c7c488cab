/* SPDX-License-Identifier: MIT */
/*
 * Making and ending address spaces.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void mm_attr_init(struct mm_attr *attr)
{
	attr->locking = MM_LOCKING_SPECULATIVE;
	attr->brk_start = UINT64_C(0x555555556000);
	attr->max_pages = UINT64_MAX;
	attr->max_areas = 65530;
}

static bool attr_valid(const struct mm_attr *attr)
{
	return (attr->locking == MM_LOCKING_RANGE || attr->locking == MM_LOCKING_COARSE ||
		attr->locking == MM_LOCKING_RWLOCK || attr->locking == MM_LOCKING_SPECULATIVE) &&
	       mm__page_aligned(attr->brk_start) && attr->brk_start >= MM_ADDR_MIN &&
	       attr->brk_start < MM_ADDR_MAX;
}

static int init(struct mm *mm)
{
	int error = mm__cpus_init(mm);

	if (error)
		return error;
	error = mm__locking_init(mm);
	if (error) {
		mm__cpus_destroy(mm);
		return error;
	}
	mm__page_table_init(&mm->page_table);
	/* The top one. */
	mm__count(mm->own_cpu, MM__TABLE_MADE);
	mm__area_tree_init(&mm->areas);
	mm->brk = mm->attr.brk_start;
	return 0;
}

int mm__create(struct mm **result, const struct mm_attr *attr, struct mm__frames *frames)
{
	struct mm *mm;
	void *memory;
	int error;

	if (posix_memalign(&memory, _Alignof(struct mm), sizeof(*mm)))
		return ENOMEM;
	mm = memset(memory, 0, sizeof(*mm));
	mm->attr = *attr;
	mm->frames = frames;
	error = init(mm);
	if (error)
		free(mm);
	else
		*result = mm;
	return error;
}

int mm_create(struct mm **result, const struct mm_attr *attr)
{
	struct mm_attr defaults;
	struct mm__frames *frames;
	int error;

	mm_attr_init(&defaults);
	if (!attr)
		attr = &defaults;
	if (!attr_valid(attr))
		return EINVAL;
	frames = mm__frames_create(attr->max_pages);
	if (!frames)
		return ENOMEM;
	error = mm__create(result, attr, frames);
	if (error)
		mm__frames_put(frames);
	return error;
}

void mm_destroy(struct mm *mm)
{
	mm__sync_removed(mm->own_cpu, 0, MM_ADDR_MAX);
	mm__pages_zap(mm, mm->own_cpu, 0, MM_ADDR_MAX);
	mm__areas_destroy(mm);
	mm__page_table_destroy(&mm->page_table);
	mm__locking_destroy(mm);
	mm__cpus_destroy(mm);
	mm__frames_put(mm->frames);
	free(mm);
}
