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
	attr->locking = MM_LOCKING_RANGE;
	attr->brk_start = UINT64_C(0x555555556000);
	attr->max_pages = UINT64_MAX;
	attr->max_areas = 65530;
}

static bool attr_valid(const struct mm_attr *attr)
{
	return (attr->locking == MM_LOCKING_RANGE || attr->locking == MM_LOCKING_COARSE ||
		attr->locking == MM_LOCKING_RWLOCK) &&
	       mm__page_aligned(attr->brk_start) && attr->brk_start >= MM_ADDR_MIN &&
	       attr->brk_start < MM_ADDR_MAX;
}

static int init(struct mm *mm)
{
	int error = mm__frames_init(&mm->frames, mm->attr.max_pages);

	if (error)
		return error;
	error = mm__locking_init(mm);
	if (error) {
		mm__frames_destroy(&mm->frames);
		return error;
	}
	mm__page_table_init(&mm->page_table, &mm->frames);
	mm__area_tree_init(&mm->areas);
	mm->brk = mm->attr.brk_start;
	return 0;
}

int mm_create(struct mm **result, const struct mm_attr *attr)
{
	struct mm_attr defaults;
	struct mm *mm;
	void *memory;
	int error;

	mm_attr_init(&defaults);
	if (!attr)
		attr = &defaults;
	if (!attr_valid(attr))
		return EINVAL;
	if (posix_memalign(&memory, _Alignof(struct mm), sizeof(*mm)))
		return ENOMEM;
	mm = memset(memory, 0, sizeof(*mm));
	mm->attr = *attr;
	error = init(mm);
	if (error) {
		free(mm);
		return error;
	}
	*result = mm;
	return 0;
}

void mm_destroy(struct mm *mm)
{
	mm__area_tree_destroy(&mm->areas);
	mm__page_table_destroy(&mm->page_table);
	mm__locking_destroy(mm);
	mm__frames_destroy(&mm->frames);
	free(mm);
}
