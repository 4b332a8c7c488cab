/* SPDX-License-Identifier: MIT */
/*
 * What operations do to VMAs: cutting a range out of them, and putting one in, merged with its
 * neighbours as Linux merges them.
 *
 * Two VMAs that touch are one if they have the same protection and the same flags, among them
 * MM_MAP_NORESERVE and MM_MAP_STACK, as in Linux. VMAs of a file or of shared memory are one only
 * if they also show it in its order. Linux keeps some more private VMAs apart, for its reverse maps
 * and for its accounting of memory: that depends on which pages were touched before and where they
 * were moved from. This library leaves that out. Its VMAs follow from the operations alone,
 * whatever the order of operations elsewhere.
 *
 * A VMA that is being changed merges with no other. The thread that changes it merges it
 * afterwards.
 *
 *	VMA-N  A thread that holds a range for writing changes a VMA that touches an end of the
 *	       range only with the lock of the VMA's border node: its kind, its bounds, and an odd
 *	       count. The holder of the neighbouring range, which may make the VMA grow, therefore
 *	       sees the whole change or nothing of it.
 */
#include "vmas.h"

#include "inode.h"
#include "memory.h"
#include "room.h"
#include "tree_lock.h"
#include "vma_memory.h"

#include <errno.h>
#include <string.h>

struct mm__vma_kind mm__kind_of(const struct mm__vma *vma)
{
	return (struct mm__vma_kind){ mm__vma_prot(vma), mm__vma_flags(vma), vma->inode,
				      vma->offset };
}

bool mm__same_kind(const struct mm__vma *vma, const struct mm__vma_kind *kind)
{
	return mm__vma_prot(vma) == kind->prot && mm__vma_flags(vma) == kind->flags &&
	       vma->inode == kind->inode && vma->offset == kind->offset;
}

bool mm__vmas_continue(const struct mm__mapping *left, const struct mm__mapping *right)
{
	struct mm__vma_kind kind = mm__kind_of(right->vma);

	return left->end == right->start && mm__same_kind(left->vma, &kind);
}

bool mm__next_vma(struct mm__thread *thread, uint64_t addr, uint64_t end, struct mm__mapping *m)
{
	struct mm *mm = thread->mm;
	bool found;

	if (mm__vma_tree_look(&mm->vmas, addr, m, &thread->look))
		return true;
	mm__tree_lock(mm);
	found = mm__vma_tree_find(&mm->vmas, addr, m);
	mm__tree_unlock(mm, thread);
	return found && m->start < end;
}

bool mm__range_free(const struct mm__edit *edit, uint64_t start, uint64_t end)
{
	struct mm__mapping m;

	return !mm__vma_edit_find(&edit->tree, start, &m) || m.start >= end;
}

unsigned int mm__cut_adds(const struct mm__edit *edit, uint64_t start, uint64_t end)
{
	struct mm__mapping m;

	return mm__vma_edit_at(&edit->tree, start, &m) && m.start < start && end < m.end;
}

static struct mm__vma *new_vma(const struct mm__vma_kind *kind, bool changing)
{
	struct mm__vma *vma = mm__vma_take();

	memset(vma, 0, sizeof(*vma));
	vma->garbage.free = mm__vma_drop;
	atomic_init(&vma->seq, changing);
	atomic_init(&vma->prot, kind->prot);
	atomic_init(&vma->flags, kind->flags);
	vma->inode = kind->inode;
	vma->offset = kind->offset;
	if (vma->inode)
		mm__inode_get(vma->inode);
	return vma;
}

/* Makes the count odd. The VMA has left the tree, or will leave it. */
static void kill_vma(struct mm__edit *edit, struct mm__vma *vma)
{
	if (!mm__vma_changing(vma))
		mm__vma_change_begin(vma);
	vma->garbage.next = edit->dead;
	edit->dead = &vma->garbage;
}

static void insert_vma(struct mm__edit *edit, const struct mm__mapping *m)
{
	mm__vma_tree_insert(&edit->tree, m);
	mm__count_vmas(edit->thread, 1);
}

static void erase_vmas(struct mm__edit *edit, uint64_t start, uint64_t end, uint64_t n)
{
	mm__vma_tree_erase_range(&edit->tree, start, end, n);
	mm__count_vmas(edit->thread, -(int64_t)n);
}

void mm__vmas_destroy(struct mm *mm, bool unshared)
{
	struct mm__mapping m = { 0, 0, NULL };

	while (mm__vma_tree_find(&mm->vmas, m.end, &m)) {
		if (unshared && m.vma->inode)
			mm__inode_put_unshared(m.vma->inode);
		else
			mm__vma_put_inode(m.vma);
		mm__free(m.vma);
	}
	mm__vma_tree_destroy(&mm->vmas);
}

/*
 * Changes
 */

/* Whether the range reaches beyond the VMA on both sides. */
static bool lies_inside(const struct mm__mapping *m, const struct mm__cut *cut)
{
	return cut->start < m->start && m->end < cut->end;
}

static void mark_vma(struct mm__vma *vma, struct mm__cut *cut)
{
	mm__vma_mark(vma);
	vma->garbage.next = cut->first;
	cut->first = &vma->garbage;
	if (!cut->last)
		cut->last = cut->first;
	cut->count++;
}

bool mm__vmas_mark(const struct mm__edit *edit, struct mm__cut *cut)
{
	struct mm__garbage *before = cut->first;
	struct mm__vma_list list;
	struct mm__mapping m;
	bool more = true;

	mm__vma_list_init(&list);
	for (unsigned int n = 0; n < MM__VMAS_AT_ONCE && more; n++) {
		more = mm__edit_next(edit, &list, cut->next, &m) && m.end < cut->end;
		if (!more)
			break;
		cut->next = m.end;
		if (lies_inside(&m, cut))
			mark_vma(m.vma, cut);
	}
	/* [VMA-W1], for all of them */
	if (cut->first != before)
		mmrange__full_fence();
	return !more;
}

void mm__vmas_mark_all(struct mm__edit *edit, struct mm__cut *cut)
{
	while (!mm__vmas_mark(edit, cut))
		mm__edit_pause(edit);
}

void mm__vmas_keep(struct mm__cut *cut)
{
	for (struct mm__garbage *garbage = cut->first; garbage; garbage = garbage->next)
		mm__vma_change_end((struct mm__vma *)garbage);
	*cut = mm__cut_of(cut->start, cut->end);
}

/*
 * Leaves the parts of a VMA that stick out of [start, end). Returns false if there are none; the
 * VMA then stays in the tree.
 */
static bool cut_end(struct mm__edit *edit, const struct mm__mapping *m, uint64_t start,
		    uint64_t end)
{
	struct mm__vma_kind kind = mm__kind_of(m->vma);
	struct mm__mapping left = { m->start, start, NULL };
	struct mm__mapping right = { end, m->end, NULL };

	if (right.start < right.end)
		right.vma = new_vma(&kind, false);
	if (left.start < left.end) {
		left.vma = new_vma(&kind, false);
		mm__vma_tree_set(&edit->tree, m->start, &left);
		if (right.vma)
			insert_vma(edit, &right);
	} else if (right.vma) {
		mm__vma_tree_set(&edit->tree, m->start, &right);
	}
	kill_vma(edit, m->vma);
	return left.vma || right.vma;
}

/* Takes all marked VMAs at once, and does not kill them one by one. */
static void kill_marked(struct mm__edit *edit, struct mm__cut *cut)
{
	if (!cut->first)
		return;
	cut->last->next = edit->dead;
	edit->dead = cut->first;
	cut->first = cut->last = NULL;
}

void mm__vmas_cut(struct mm__edit *edit, struct mm__cut *cut)
{
	uint64_t erased = cut->count;
	struct mm__mapping m;

	if (mm__vma_edit_at(&edit->tree, cut->start, &m) &&
	    !cut_end(edit, &m, cut->start, cut->end))
		erased++;
	/* If one VMA lies at both ends, it has been cut already. */
	if (mm__vma_edit_at(&edit->tree, cut->end - 1, &m) && m.start > cut->start &&
	    !cut_end(edit, &m, cut->start, cut->end))
		erased++;
	kill_marked(edit, cut);
	if (erased)
		erase_vmas(edit, cut->start, cut->end, erased);
}

int mm__vmas_remove(struct mm__edit *edit, struct mm__cut *cut)
{
	unsigned int adds = mm__cut_adds(edit, cut->start, cut->end);

	if ((adds && !mm__room_for_vmas(edit->thread, adds)) || mm__edit_reserve(edit, 1, 0)) {
		mm__vmas_keep(cut);
		return ENOMEM;
	}
	mm__vmas_cut(edit, cut);
	return 0;
}

void mm__vmas_cut_one(struct mm__edit *edit, uint64_t start, uint64_t end)
{
	struct mm__cut cut = mm__cut_of(start, end);

	mm__vmas_cut(edit, &cut);
}

/* Whether a VMA of this kind would be one with this neighbour, which it continues. */
static bool mergeable(const struct mm__mapping *m, const struct mm__vma_kind *kind)
{
	return !mm__vma_changing(m->vma) && mm__same_kind(m->vma, kind);
}

static bool left_neighbour(const struct mm__edit *edit, uint64_t start,
			   const struct mm__vma_kind *kind, struct mm__mapping *m)
{
	return mm__vma_edit_at(&edit->tree, start - 1, m) && mergeable(m, kind);
}

static bool right_neighbour(const struct mm__edit *edit, uint64_t end,
			    const struct mm__vma_kind *kind, struct mm__mapping *m)
{
	return mm__vma_edit_at(&edit->tree, end, m) && m->start == end && mergeable(m, kind);
}

/*
 * Makes a neighbour grow over [start, end), where there are n VMAs, and over the other neighbour,
 * too, if all are of this kind. Returns false if no neighbour is of this kind.
 */
static bool grow_neighbour(struct mm__edit *edit, uint64_t start, uint64_t end, uint64_t n,
			   const struct mm__vma_kind *kind)
{
	struct mm__mapping left;
	struct mm__mapping right;
	bool has_left = left_neighbour(edit, start, kind, &left);
	bool has_right = right_neighbour(edit, end, kind, &right);
	bool both = has_left && has_right;

	if (!has_left && !has_right)
		return false;
	if (both) {
		kill_vma(edit, right.vma);
		end = right.end;
		n++;
	}
	if (n)
		erase_vmas(edit, start, end, n);
	mm__vma_tree_clear(&edit->tree, start, end);
	if (has_left) {
		left.end = end;
		mm__vma_tree_set(&edit->tree, left.start, &left);
	} else {
		right.start = start;
		mm__vma_tree_set(&edit->tree, end, &right);
	}
	return true;
}

static void put_apart(struct mm__edit *edit, uint64_t start, uint64_t end,
		      const struct mm__vma_kind *kind, bool changing)
{
	struct mm__mapping m = { start, end, new_vma(kind, changing) };

	mm__vma_tree_clear(&edit->tree, start, end);
	insert_vma(edit, &m);
}

void mm__vmas_put_apart(struct mm__edit *edit, uint64_t start, uint64_t end,
			const struct mm__vma_kind *kind)
{
	put_apart(edit, start, end, kind, false);
}

void mm__vmas_put(struct mm__edit *edit, uint64_t start, uint64_t end,
		  const struct mm__vma_kind *kind)
{
	if (!grow_neighbour(edit, start, end, 0, kind))
		put_apart(edit, start, end, kind, false);
}

void mm__vmas_put_changing(struct mm__edit *edit, uint64_t start, uint64_t end,
			   const struct mm__vma_kind *kind)
{
	put_apart(edit, start, end, kind, true);
}

/*
 * Settling
 */

/* Consecutive VMAs of one kind that are being changed. */
struct group {
	uint64_t start;
	uint64_t end;
	struct mm__vma_kind kind;
	unsigned int count;
	uint64_t second; /* the start of the second VMA, if there is one */
	struct mm__vma *vma[MM__VMAS_AT_ONCE];
};

/* Gathers VMAs from *m on, up to most of them, which begin below end. */
static void gather_group(const struct mm__edit *edit, struct mm__mapping m, uint64_t end,
			 unsigned int most, struct group *group)
{
	struct mm__vma_list list;

	mm__vma_list_init(&list);
	group->start = m.start;
	group->end = m.start;
	group->kind = mm__kind_of(m.vma);
	group->count = 0;
	while (group->count < most && group->end < end &&
	       mm__edit_next(edit, &list, group->end, &m) && m.start == group->end &&
	       mm__vma_changing(m.vma) && mm__same_kind(m.vma, &group->kind)) {
		if (group->count == 1)
			group->second = m.start;
		group->vma[group->count++] = m.vma;
		group->end = m.end;
	}
}

/* Merges a group into one VMA, or into a neighbour. Returns true if that changed the tree. */
static bool merge_group(struct mm__edit *edit, const struct group *group)
{
	struct mm__mapping first = { group->start, group->end, group->vma[0] };
	bool grown = grow_neighbour(edit, group->start, group->end, group->count, &group->kind);

	if (!grown && group->count > 1) {
		erase_vmas(edit, group->second, group->end, group->count - 1);
		mm__vma_tree_clear(&edit->tree, group->second, group->end);
		mm__vma_tree_set(&edit->tree, group->start, &first);
	}
	for (unsigned int i = grown ? 0 : 1; i < group->count; i++)
		kill_vma(edit, group->vma[i]);
	if (!grown)
		mm__vma_change_end(group->vma[0]);
	return grown || group->count > 1;
}

static void leave_apart(struct mm__edit *edit, const struct group *group)
{
	for (unsigned int i = 0; i < group->count; i++)
		mm__vma_change_end(group->vma[i]);
	/* relaxed: read while no thread changes the space */
	atomic_store_explicit(&edit->thread->mm->unmerged, true, memory_order_relaxed);
}

/*
 * Settles some of the VMAs in [addr, end). With the VMA tree lock, stops after the first merge,
 * because the caller has reserved memory for one. Returns where it stopped.
 */
static uint64_t merge_some(struct mm__edit *edit, uint64_t addr, uint64_t end, bool may_merge)
{
	bool merged = false;

	for (unsigned int n = 0; n < MM__VMAS_AT_ONCE && addr < end && !merged;) {
		struct mm__mapping m;
		struct group group;

		mm__vma_edit_at(&edit->tree, addr, &m);
		n++;
		addr = m.end;
		if (!mm__vma_changing(m.vma))
			continue;
		gather_group(edit, m, end, MM__VMAS_AT_ONCE + 1 - n, &group);
		n += group.count - 1;
		addr = group.end;
		if (may_merge)
			merged = merge_group(edit, &group) && edit->locked;
		else
			leave_apart(edit, &group);
	}
	return addr;
}

void mm__vmas_merge_changed(struct mm__thread *thread, uint64_t start, uint64_t end,
			    struct mm__vma_budget *nodes)
{
	for (uint64_t addr = start; addr < end;) {
		struct mm__edit edit;
		bool reserved;

		mm__edit_begin(&edit, thread, start, end, false);
		/* A merge makes no VMA, so it needs nodes only. */
		reserved = edit.tree.border || !mm__edit_reserve(&edit, 0, 1);
		if (!reserved && nodes)
			edit.tree.budget = nodes;
		addr = merge_some(&edit, addr, end, reserved || nodes);
		if (reserved || !nodes)
			mm__edit_end(&edit);
		else
			mm__edit_end_refilled(&edit, nodes);
	}
}
