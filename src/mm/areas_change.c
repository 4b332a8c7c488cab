/* SPDX-License-Identifier: MIT */
/*
 * What mm_mprotect(), mm_mlock() and mm_munlock() do to areas: they make them another kind, one after the
 * other, up to the first error, as Linux does. Only want of memory is an error before anything has
 * changed. A few areas are changed at a time:
 *
 *	with the mm lock	areas become the new kind, and their counts odd
 *	without			their pages come to allow no more than that
 *	with the mm lock	they merge, and their counts become even
 *	without			pages are copied that are locked, and can be written to now
 *
 * An area inside the range changes in place, which takes no memory. Only one that sticks out is split:
 * the first one, or the last. A merge takes memory, for nodes of the tree, and there may be as many of
 * them as areas. So both splits and one merge are reserved at the beginning; and what one merge has
 * used is got back before the next, where there is no memory from the nodes that it replaced, when no
 * reader looks at them any more.
 *
 * Where there are too many areas Linux may leave an area split although its kind was not changed; here
 * it is left whole.
 */
#include "internal.h"

#include <errno.h>

/* Areas in a row that were changed in the same way; but each of those with copies is alone. */
struct run {
	uint64_t start;
	uint64_t end;
	int prot;
	bool protect; /* the protection has changed */
	bool copies;  /* they are locked, and can now be written to: before they are, as in Linux */
};

struct work {
	struct mm__cpu *cpu;
	uint64_t addr; /* what lies below has been changed */
	uint64_t end;
	int (*change)(struct mm__area_kind *kind, int how);
	int how;
	struct mm__budget budget;
	bool may_split;              /* the last area is not split yet */
	struct mm__garbage *retired; /* nodes replaced by the merge for which the budget was used */
	/* Those changed last, which are not settled yet. */
	struct run run[MM__AREAS_AT_ONCE];
	unsigned int nr_runs;
};

static bool continues(const struct run *last, const struct run *new)
{
	return last->end == new->start && last->prot == new->prot &&
	       last->protect == new->protect && !last->copies && !new->copies;
}

static void add_run(struct work *work, const struct run *new)
{
	unsigned int n = work->nr_runs;

	if (n && continues(&work->run[n - 1], new))
		work->run[n - 1].end = new->end;
	else
		work->run[work->nr_runs++] = *new;
}

/*
 * With the mm lock
 */

/* How many more areas there are when [start, end) of one is another kind, maybe less than none. */
static int areas_added(const struct mm *mm, const struct mm__mapping *m, uint64_t start,
		       uint64_t end, const struct mm__area_kind *kind)
{
	struct mm__mapping left;
	struct mm__mapping right;
	int added = (m->start < start) + (end < m->end);

	added -= mm__area_tree_at(&mm->areas, start - 1, &left) && mm__same_kind(left.area, kind);
	added -= mm__area_tree_at(&mm->areas, end, &right) && mm__same_kind(right.area, kind);
	return added;
}

/* The part of an area that sticks out. */
static int change_part(struct mm *mm, struct mm__budget *budget, const struct mm__mapping *m,
		       const struct run *part, const struct mm__area_kind *kind)
{
	int added = areas_added(mm, m, part->start, part->end, kind);

	if (added > 0 && !mm__room_for_areas(mm, (uint64_t)added))
		return ENOMEM;
	mm__areas_cut_one(mm, budget, part->start, part->end);
	mm__areas_put_changing(mm, budget, part->start, part->end, kind);
	return 0;
}

/* [W1] but for the fence, and [W2] of area.h. */
static void change_whole(struct mm__area *area, const struct mm__area_kind *kind)
{
	mm__area_mark(area);
	mm__area_set_prot(area, kind->prot);
	mm__area_set_flags(area, kind->flags);
}

/* Changes what of the area lies in the range. EAGAIN: when what was changed before has been settled. */
static int change_area(struct work *work, const struct mm__mapping *m, bool *split)
{
	struct run part = { .start = work->addr, .end = mm__min(m->end, work->end) };
	struct mm__area_kind old = mm__kind_of(m->area);
	struct mm__area_kind kind = old;
	bool sticks_out = m->start < part.start || m->end > part.end;
	int error = work->change(&kind, work->how);

	if (!error && !mm__same_kind(m->area, &kind)) {
		/* How many areas there are is known only then. */
		if (sticks_out && work->nr_runs)
			return EAGAIN;
		part.prot = kind.prot;
		part.protect = kind.prot != old.prot;
		part.copies = kind.flags & MM__AREA_LOCKED && kind.flags & MM_MAP_PRIVATE &&
			      kind.prot & ~old.prot & MM_PROT_WRITE;
		if (sticks_out)
			error = change_part(work->cpu->mm, &work->budget, m, &part, &kind);
		else
			change_whole(m->area, &kind);
		*split = sticks_out;
		work->may_split = work->may_split && !(sticks_out && part.end == work->end);
		if (!error)
			add_run(work, &part);
	}
	if (!error)
		work->addr = part.end;
	return error;
}

/* Some areas, up to the first error. */
static int change_some(struct work *work)
{
	struct mm *mm = work->cpu->mm;
	struct mm__area_list list;
	int error = 0;

	mm__area_list_init(&list);
	for (unsigned int n = 0; n < MM__AREAS_AT_ONCE && work->addr < work->end && !error; n++) {
		struct mm__mapping m;
		bool split = false;

		if (!mm__area_list_next(&mm->areas, &list, work->addr, &m) || m.start > work->addr)
			error = ENOMEM;
		else
			error = change_area(work, &m, &split);
		if (split)
			mm__area_list_init(&list);
	}
	/* [W1], for all of them */
	if (work->nr_runs)
		mmrange__full_fence();
	return error;
}

/*
 * Without
 */

static void lock_areas(struct work *work)
{
	if (work->retired)
		mm__lock_refilled(work->cpu->mm, &work->budget, work->may_split, work->retired);
	else
		mm__lock(work->cpu->mm);
	work->retired = NULL;
}

/* What splits have used is not needed again. last: nor is the rest of the budget. */
static void unlock_areas(struct work *work, bool merged, bool last)
{
	struct mm__garbage *nodes;
	struct mm__garbage *areas;

	if (last)
		mm__areas_release(work->cpu->mm, &work->budget);
	areas = mm__unlock_keeping(work->cpu->mm, work->cpu, &nodes);
	mm__areas_free(areas);
	if (merged && !last)
		work->retired = nodes;
	else
		mm__rcu_free(nodes);
}

static void protect_pages(struct work *work)
{
	for (unsigned int i = 0; i < work->nr_runs; i++) {
		struct run *run = &work->run[i];

		if (run->protect)
			mm__pages_protect(work->cpu->mm, work->cpu, run->start, run->end,
					  run->prot);
	}
}

static void settle_part(struct work *work, bool last)
{
	uint64_t addr = work->run[0].start;
	uint64_t end = work->run[work->nr_runs - 1].end;
	bool done = false;

	while (!done) {
		bool merged;

		lock_areas(work);
		done = mm__areas_settle_some(work->cpu->mm, &work->budget, &addr, end, &merged);
		unlock_areas(work, merged, done && last);
	}
}

/* A page that cannot be had ends it for its area, and not for those behind. */
static void copy_pages(struct work *work)
{
	for (unsigned int i = 0; i < work->nr_runs; i++) {
		struct run *run = &work->run[i];

		if (run->copies)
			mm__populate_held(work->cpu, run->start, run->end, MM_PROT_WRITE);
	}
}

static void finish_part(struct work *work, bool last)
{
	protect_pages(work);
	settle_part(work, last);
	copy_pages(work);
	work->nr_runs = 0;
}

int mm__areas_change(struct mm__cpu *cpu, uint64_t start, uint64_t end,
		     int (*change)(struct mm__area_kind *kind, int how), int how)
{
	struct work work = { .cpu = cpu,
			     .addr = start,
			     .end = end,
			     .change = change,
			     .how = how,
			     .may_split = true };
	int error = mm__lock_and_reserve_change(cpu->mm, &work.budget);
	bool last = error;

	if (error)
		mm__unlock(cpu->mm, cpu);
	while (!last) {
		error = change_some(&work);
		last = (error && error != EAGAIN) || work.addr >= end;
		unlock_areas(&work, false, last && !work.nr_runs);
		if (work.nr_runs)
			finish_part(&work, last);
		if (!last)
			lock_areas(&work);
	}
	return error;
}
