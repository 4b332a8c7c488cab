/* SPDX-License-Identifier: MIT */
/*
 * The changes of mm_mprotect(), mm_mlock() and mm_munlock() to VMAs. They make the VMAs another
 * kind, one after the other, up to the first error, as Linux does. Only want of memory is an error
 * before anything has changed. They change a few VMAs at a time:
 *
 *	in an edit	VMAs become the new kind, and their counts odd
 *	outside		their pages come to allow no more than that
 *	in edits	the VMAs merge, and their counts become even
 *	outside		pages are copied if they are locked and have become writable
 *
 * A VMA inside the range changes in place, which takes no memory. Only a VMA that sticks out of the
 * range is split: the first one, or the last. The thread reserves the memory for both splits and
 * for one merge at the beginning, unless the first edit can do everything. Before the next merge,
 * it reserves again as many nodes as the last merge has used: if there is no memory, by recycling
 * the nodes that the merge replaced.
 *
 * If there are too many VMAs, Linux may leave a VMA split whose kind it has not changed. This
 * library leaves it whole.
 */
#include "fault.h"
#include "page.h"
#include "pages.h"
#include "room.h"
#include "tree_lock.h"
#include "vma_memory.h"
#include "vmas.h"

#include <errno.h>

/*
 * Consecutive VMAs that were changed in the same way. A VMA whose pages are to be copied has its
 * own run.
 */
struct run {
	uint64_t start;
	uint64_t end;
	int prot;
	bool protect; /* the protection has changed */
	/*
	 * Locked, and writable from now on: pages are copied before the first write, as in Linux.
	 */
	bool copies;
};

struct work {
	struct mm__thread *thread;
	uint64_t addr; /* all below this address has been changed */
	uint64_t end;
	int (*change)(struct mm__vma_kind *kind, int how);
	int how;
	struct mm__vma_budget *nodes; /* with the VMA tree lock: for the splits, and a merge */
	/* The VMAs that were changed last, whose counts are still odd. */
	struct run run[MM__VMAS_AT_ONCE];
	unsigned int nr_runs;
};

static bool continues(const struct run *last, const struct run *next)
{
	return last->end == next->start && last->prot == next->prot &&
	       last->protect == next->protect && !last->copies && !next->copies;
}

static void add_run(struct work *work, const struct run *next)
{
	unsigned int n = work->nr_runs;

	if (n && continues(&work->run[n - 1], next))
		work->run[n - 1].end = next->end;
	else
		work->run[work->nr_runs++] = *next;
}

/*
 * In an edit
 */

/* By how many VMAs the space grows if [start, end) of one becomes another kind. May be negative. */
static int vmas_added(const struct mm__edit *edit, const struct mm__mapping *m, uint64_t start,
		      uint64_t end, const struct mm__vma_kind *kind)
{
	struct mm__mapping left;
	struct mm__mapping right;
	int added = (m->start < start) + (end < m->end);

	added -= mm__vma_edit_at(&edit->tree, start - 1, &left) && mm__same_kind(left.vma, kind);
	added -= mm__vma_edit_at(&edit->tree, end, &right) && mm__same_kind(right.vma, kind);
	return added;
}

/* Changes the part that lies in the range, of a VMA that sticks out of it. */
static int change_part(struct mm__edit *edit, const struct mm__mapping *m, const struct run *part,
		       const struct mm__vma_kind *kind)
{
	int added = vmas_added(edit, m, part->start, part->end, kind);

	if (added > 0 && !mm__room_for_vmas(edit->thread, (uint64_t)added))
		return ENOMEM;
	mm__vmas_cut_one(edit, part->start, part->end);
	mm__vmas_put_changing(edit, part->start, part->end, kind);
	return 0;
}

/* [VMA-W1] without the fence, and [VMA-W2] */
static void change_whole(struct mm__vma *vma, const struct mm__vma_kind *kind)
{
	mm__vma_mark(vma);
	mm__vma_set_prot(vma, kind->prot);
	mm__vma_set_flags(vma, kind->flags);
}

/*
 * Changes the part of the VMA that lies in the range. Returns EAGAIN if the VMAs that were changed
 * before have to be merged first.
 */
static int change_vma(struct work *work, struct mm__edit *edit, const struct mm__mapping *m,
		      bool *split)
{
	struct run part = { .start = work->addr, .end = mm__min(m->end, work->end) };
	struct mm__vma_kind old = mm__kind_of(m->vma);
	struct mm__vma_kind kind = old;
	bool sticks_out = m->start < part.start || m->end > part.end;
	int error = work->change(&kind, work->how);

	if (!error && !mm__same_kind(m->vma, &kind)) {
		/* Before that, it is not known how many VMAs there are. */
		if (sticks_out && work->nr_runs)
			return EAGAIN;
		part.prot = kind.prot;
		part.protect = kind.prot != old.prot;
		part.copies = kind.flags & MM__VMA_LOCKED && kind.flags & MM_MAP_PRIVATE &&
			      kind.prot & ~old.prot & MM_PROT_WRITE;
		if (sticks_out)
			error = change_part(edit, m, &part, &kind);
		else
			change_whole(m->vma, &kind);
		*split = sticks_out;
		if (!error)
			add_run(work, &part);
	}
	if (!error)
		work->addr = part.end;
	return error;
}

/* Changes some VMAs, up to the first error. */
static int change_some(struct work *work, struct mm__edit *edit)
{
	struct mm__vma_list list;
	int error = 0;

	mm__vma_list_init(&list);
	for (unsigned int n = 0; n < MM__VMAS_AT_ONCE && work->addr < work->end && !error; n++) {
		struct mm__mapping m;
		bool split = false;

		if (!mm__edit_next(edit, &list, work->addr, &m) || m.start > work->addr)
			error = ENOMEM;
		else
			error = change_vma(work, edit, &m, &split);
		if (split)
			mm__vma_list_init(&list);
	}
	/* [VMA-W1], for all of them */
	if (work->nr_runs)
		mmrange__full_fence();
	return error;
}

/*
 * Outside an edit
 */

static void protect_pages(struct work *work)
{
	for (unsigned int i = 0; i < work->nr_runs; i++) {
		struct run *run = &work->run[i];

		if (run->protect)
			mm__pages_protect(work->thread->mm, work->thread, run->start, run->end,
					  run->prot);
	}
}

/* If it cannot get a page, it goes on with the next VMA. */
static void copy_pages(struct work *work)
{
	for (unsigned int i = 0; i < work->nr_runs; i++) {
		struct run *run = &work->run[i];

		if (run->copies)
			mm__populate_held(work->thread, run->start, run->end, MM_PROT_WRITE);
	}
}

static void finish_part(struct work *work)
{
	if (!work->nr_runs)
		return;
	protect_pages(work);
	mm__vmas_merge_changed(work->thread, work->run[0].start, work->run[work->nr_runs - 1].end,
			       work->nodes);
	copy_pages(work);
	work->nr_runs = 0;
}

/*
 * The whole change
 */

/*
 * VMAs that the ends may take: the first and the last VMA of a range may stick out, or one VMA at
 * both ends.
 */
#define ENDS_VMAS 4u

/*
 * Whether one edit in place suffices. If the last VMA sticks out and is not also the first, VMAs
 * before it have to be merged before it is split.
 */
static bool is_one_step(const struct work *work, const struct mm__edit *edit)
{
	struct mm__mapping m;

	return !mm__vma_edit_at(&edit->tree, work->end - 1, &m) || m.end <= work->end ||
	       m.start <= work->addr;
}

/* Returns true if the change is done; *error is then the result. */
static bool change_in_place(struct work *work, int *error)
{
	struct mm__edit edit;
	bool done;

	if (!mm__edit_in_place(&edit, work->thread, work->addr, work->end, false))
		return false;
	done = is_one_step(work, &edit);
	if (done)
		*error = change_some(work, &edit);
	mm__edit_end(&edit);
	return done;
}

/* If the last edit has not released them. */
static void release_nodes(struct mm__thread *thread, struct mm__vma_budget *nodes)
{
	if (!nodes->nodes[0] && !nodes->nodes[1])
		return;
	mm__tree_lock(thread->mm);
	mm__vma_tree_release(&thread->mm->vmas, nodes);
	mm__tree_unlock(thread->mm, thread);
}

static int change_with_lock(struct work *work)
{
	struct mm__vma_tree *tree = &work->thread->mm->vmas;
	struct mm__vma_budget nodes = { 0, { 0, 0 } };
	uint64_t start = work->addr;
	int error = EAGAIN;

	work->nodes = &nodes;
	for (bool first = true; error == EAGAIN; first = false) {
		struct mm__edit edit;

		mm__edit_locked(&edit, work->thread, start, work->end);
		error = first ? mm__edit_reserve_ends(&edit, &nodes) : 0;
		edit.tree.budget = &nodes;
		if (!error)
			error = change_some(work, &edit);
		if (!error && work->addr < work->end)
			error = EAGAIN;
		if (!work->nr_runs && error != EAGAIN)
			mm__vma_tree_release(tree, &nodes);
		mm__edit_end(&edit);
		finish_part(work);
	}
	release_nodes(work->thread, &nodes);
	return error;
}

int mm__vmas_change(struct mm__thread *thread, uint64_t start, uint64_t end,
		    int (*change)(struct mm__vma_kind *kind, int how), int how)
{
	struct work work = {
		.thread = thread, .addr = start, .end = end, .change = change, .how = how
	};
	int error;

	if (!mm__vmas_stock(ENDS_VMAS))
		return ENOMEM;
	if (!change_in_place(&work, &error))
		return change_with_lock(&work);
	finish_part(&work);
	return error;
}
