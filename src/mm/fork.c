/* SPDX-License-Identifier: MIT */
/*
 * mm_fork(): the child gets the areas of the parent, and maps the frames of private ones too, which
 * neither may write to any more. What is shared is found in its inode.
 *
 * Everything is held for writing meanwhile, and the count of each area is odd: so no fault looks at
 * an entry between the moment when it loses the right to be written to, and the one when no thread
 * has the right in its TLB any more. A fault that copied a page in between would lose what such a
 * thread still writes to it.
 */
#include "internal.h"

#include <errno.h>

/* The areas stay as they are while everything is held. */
static bool next_area(struct mm__cpu *cpu, struct mm__mapping *m)
{
	bool found;

	mm__lock(cpu->mm);
	found = mm__area_tree_find(&cpu->mm->areas, m->end, m);
	mm__unlock(cpu->mm, cpu);
	return found;
}

/* What mm_mlock() kept apart stays apart, as in Linux. */
static int copy_area(struct mm__cpu *child, const struct mm__mapping *m)
{
	struct mm__area_kind kind = mm__kind_of(m->area);
	struct mm__edit edit;
	int error;

	kind.flags &= ~MM__AREA_LOCKED;
	mm__edit_begin(&edit, child, m->start, m->end, false);
	error = mm__edit_reserve(&edit, 0, 1);
	if (!error)
		mm__areas_put_apart(&edit, m->start, m->end, &kind);
	mm__edit_end(&edit);
	return error;
}

/* Up to the first error. *m is the last area that counts as being changed now. */
static int copy_areas(struct mm__cpu *cpu, struct mm__cpu *child, struct mm__mapping *m)
{
	struct mm__cpu_set set = { .all = false };
	int error = 0;

	*m = (struct mm__mapping){ 0, 0, NULL };
	while (!error && next_area(cpu, m)) {
		mm__area_change_begin(m->area);
		error = copy_area(child, m);
		if (!error && mm__area_flags(m->area) & MM_MAP_PRIVATE)
			error = mm__pages_share(cpu->mm, child, m->start, m->end, &set);
	}
	mm__tlb_flush(cpu->mm, cpu, &set, 0, MM_ADDR_MAX);
	return error;
}

static void end_changes(struct mm__cpu *cpu, uint64_t end)
{
	struct mm__mapping m = { 0, 0, NULL };

	while (m.end < end && next_area(cpu, &m))
		mm__area_change_end(m.area);
}

static int copy(struct mm__cpu *cpu, struct mm *child)
{
	struct mm__mapping last;
	int error;

	atomic_init(&child->brk, mm__brk(cpu->mm));
	child->forked = true;
	if (mm__may_have_stacks(cpu->mm))
		mm__note_stack(child);
	error = copy_areas(cpu, child->own_cpu, &last);
	end_changes(cpu, last.end);
	return error;
}

int mm_fork(struct mm *mm, struct mm **result)
{
	struct mm__cpu *cpu = mm__this_cpu(mm);
	struct mm__hold hold;
	struct mm *child;
	int error = cpu ? 0 : ENOMEM;

	if (error)
		return error;
	mm__frames_get(mm->frames);
	error = mm__create(&child, &mm->attr, mm->frames);
	if (error) {
		mm__frames_put(mm->frames);
		return error;
	}
	error = mm__hold_write(cpu, &hold, 0, UINT64_MAX);
	if (!error) {
		error = copy(cpu, child);
		mm__release(cpu, &hold);
	}
	if (error)
		mm_destroy(child);
	else
		*result = child;
	return error;
}
