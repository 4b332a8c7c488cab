/* SPDX-License-Identifier: MIT */
/*
 * Creating and destroying address spaces.
 */
#include "attach.h"
#include "child.h"
#include "locking.h"
#include "memory.h"
#include "page.h"
#include "pages.h"
#include "room.h"
#include "vmas.h"

#include <errno.h>
#include <string.h>

void mm_attr_init(struct mm_attr *attr)
{
	attr->locking = MM_LOCKING_SPECULATIVE;
	attr->placement = MM_PLACEMENT_LINUX;
	attr->brk_start = UINT64_C(0x555555556000);
	attr->max_pages = UINT64_MAX;
	attr->max_areas = 65530;
}

static bool attr_valid(const struct mm_attr *attr)
{
	return (attr->locking == MM_LOCKING_RANGE || attr->locking == MM_LOCKING_COARSE ||
		attr->locking == MM_LOCKING_RWLOCK || attr->locking == MM_LOCKING_SPECULATIVE) &&
	       (attr->placement == MM_PLACEMENT_LINUX || attr->placement == MM_PLACEMENT_THREAD) &&
	       mm__page_aligned(attr->brk_start) && attr->brk_start >= MM_ADDR_MIN &&
	       attr->brk_start < MM_ADDR_MAX;
}

static int init_space(struct mm *mm)
{
	int error = mm__fork_handled() ? mm__locking_init(mm) : ENOMEM;

	if (error)
		return error;
	error = mm__threads_init(mm);
	if (error) {
		mm__locking_destroy(mm);
		return error;
	}
	mm__page_table_init(&mm->page_table);
	/* The top table. */
	mm__count(mm->own_thread, MM__TABLE_MADE);
	mm__vma_tree_init(&mm->vmas);
	mm__room_begin(mm);
	atomic_init(&mm->brk, mm->attr.brk_start);
	return 0;
}

int mm__create(struct mm **result, const struct mm_attr *attr, struct mm__frames *frames)
{
	struct mm *mm = mm__allocate(_Alignof(struct mm), sizeof(*mm));
	int error;

	if (!mm)
		return ENOMEM;
	memset(mm, 0, sizeof(*mm));
	mm->attr = *attr;
	mm->frames = frames;
	error = init_space(mm);
	if (error) {
		mm__free(mm);
		return error;
	}
	mm__frames_add_space(frames);
	*result = mm;
	return 0;
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

static void destroy_space(struct mm *mm)
{
	struct mm__frames *frames = mm->frames;
	/* If so, no thread is in a read section in which it can find the family's shared memory. */
	bool last_of_family = !mm__frames_remove_space(frames);

	mm__pages_zap(mm, mm->own_thread, 0, MM_ADDR_MAX);
	mm__vmas_destroy(mm, last_of_family);
	/* From here on, threads that end do not find the space. */
	mm__threads_destroy(mm);
	mm__page_table_destroy(&mm->page_table);
	mm__locking_destroy(mm);
	mm__free(mm);
	/* Shared memory that was unmapped earlier may be pending, and keeps all frames. */
	if (!mm__frames_put(frames) && last_of_family)
		mm__rcu_barrier();
	mm__rcu_poll();
	mm__rcu_throttle();
}

void mm_destroy(struct mm *mm)
{
	struct mm__rcu_thread stand_in;
	bool registered = mm__rcu_self;

	mm__check_copy(mm);
	/* A thread that has used no space needs no memory to destroy one. */
	if (!registered)
		mm__rcu_begin_thread(&stand_in);
	destroy_space(mm);
	if (!registered)
		mm__rcu_end_thread(&stand_in);
}
