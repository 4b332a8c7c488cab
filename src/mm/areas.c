/* SPDX-License-Identifier: MIT */
/*
 * What operations do to areas: cutting a range out of them, and putting one in, merged with its
 * neighbours as Linux merges them.
 *
 * Two areas that touch are one if they have the same protection and the same flags, among them
 * MM_MAP_NORESERVE and MM_MAP_STACK, as in Linux; areas of a file or of shared memory only if they
 * show it in its order. Linux also keeps private areas apart for the sake of its reverse maps and of
 * its accounting of memory, depending on which pages were touched before and where they were moved
 * from. That is left out: here the areas follow from the operations alone, whatever the order of
 * operations elsewhere.
 *
 * An area that is being changed merges with no other: the thread that changes it settles it when that is
 * done. [N] What touches the end of a range that a thread holds for writing is changed by that thread with
 * the lock of its leaf only: kind, bounds, and an odd count. So the neighbour, which may make the area grow,
 * sees all of the change or none.
 */
#include "internal.h"
#include "memory.h"

#include <errno.h>
#include <string.h>

struct mm__area_kind mm__kind_of(const struct mm__area *area)
{
	return (struct mm__area_kind){ mm__area_prot(area), mm__area_flags(area), area->inode,
				       area->offset };
}

bool mm__same_kind(const struct mm__area *area, const struct mm__area_kind *kind)
{
	return mm__area_prot(area) == kind->prot && mm__area_flags(area) == kind->flags &&
	       area->inode == kind->inode && area->offset == kind->offset;
}

bool mm__areas_continue(const struct mm__mapping *left, const struct mm__mapping *right)
{
	struct mm__area_kind kind = mm__kind_of(right->area);

	return left->end == right->start && mm__same_kind(left->area, &kind);
}

bool mm__next_area(struct mm__cpu *cpu, uint64_t addr, uint64_t end, struct mm__mapping *m)
{
	struct mm *mm = cpu->mm;
	bool found;

	if (mm__area_tree_look(&mm->areas, addr, m, &cpu->look))
		return true;
	mm__lock(mm);
	found = mm__area_tree_find(&mm->areas, addr, m);
	mm__unlock(mm, cpu);
	return found && m->start < end;
}

bool mm__range_free(const struct mm__edit *edit, uint64_t start, uint64_t end)
{
	struct mm__mapping m;

	return !mm__area_edit_find(&edit->tree, start, &m) || m.start >= end;
}

unsigned int mm__cut_adds(const struct mm__edit *edit, uint64_t start, uint64_t end)
{
	struct mm__mapping m;

	return mm__area_edit_at(&edit->tree, start, &m) && m.start < start && end < m.end;
}

static void put_inode(const struct mm__area *area)
{
	if (area->inode)
		mm__inode_put(area->inode);
}

void mm__areas_free(struct mm__garbage *list)
{
	uint64_t lines = 0;

	if (!list)
		return;
	/* A fault that still finds the area finds its inode too, which lives as long. */
	for (struct mm__garbage *garbage = list; garbage; garbage = garbage->next, lines++)
		put_inode((struct mm__area *)garbage);
	mm__rcu_defer(list, lines);
	mm__rcu_throttle();
}

static struct mm__area *new_area(const struct mm__area_kind *kind, bool changing)
{
	struct mm__area *area = mm__area_take();

	memset(area, 0, sizeof(*area));
	area->garbage.free = mm__area_drop;
	atomic_init(&area->seq, changing);
	atomic_init(&area->prot, kind->prot);
	atomic_init(&area->flags, kind->flags);
	area->inode = kind->inode;
	area->offset = kind->offset;
	if (area->inode)
		mm__inode_get(area->inode);
	return area;
}

/* The area is not in the tree any more, or will not be. */
static void kill(struct mm__edit *edit, struct mm__area *area)
{
	if (!mm__area_changing(area))
		mm__area_change_begin(area);
	area->garbage.next = edit->dead;
	edit->dead = &area->garbage;
}

static void insert(struct mm__edit *edit, const struct mm__mapping *m)
{
	mm__area_tree_insert(&edit->tree, m);
	mm__count_areas(edit->cpu, 1);
}

static void erase(struct mm__edit *edit, uint64_t start, uint64_t end, uint64_t n)
{
	mm__area_tree_erase_range(&edit->tree, start, end, n);
	mm__count_areas(edit->cpu, -(int64_t)n);
}

void mm__areas_destroy(struct mm *mm, bool unshared)
{
	struct mm__mapping m = { 0, 0, NULL };

	while (mm__area_tree_find(&mm->areas, m.end, &m)) {
		if (unshared && m.area->inode)
			mm__inode_put_unshared(m.area->inode);
		else
			put_inode(m.area);
		mm__free(m.area);
	}
	mm__area_tree_destroy(&mm->areas);
}

/*
 * Changes
 */

/* Whether [start, end) has something on both sides of the area. */
static bool lies_inside(const struct mm__mapping *m, const struct mm__cut *cut)
{
	return cut->start < m->start && m->end < cut->end;
}

static void mark(struct mm__area *area, struct mm__cut *cut)
{
	mm__area_mark(area);
	area->garbage.next = cut->first;
	cut->first = &area->garbage;
	if (!cut->last)
		cut->last = cut->first;
	cut->count++;
}

bool mm__areas_mark(const struct mm__edit *edit, struct mm__cut *cut)
{
	struct mm__garbage *before = cut->first;
	struct mm__area_list list;
	struct mm__mapping m;
	bool more = true;

	mm__area_list_init(&list);
	for (unsigned int n = 0; n < MM__AREAS_AT_ONCE && more; n++) {
		more = mm__edit_next(edit, &list, cut->next, &m) && m.end < cut->end;
		if (!more)
			break;
		cut->next = m.end;
		if (lies_inside(&m, cut))
			mark(m.area, cut);
	}
	/* [W1], for all of them */
	if (cut->first != before)
		mmrange__full_fence();
	return !more;
}

void mm__areas_mark_all(struct mm__edit *edit, struct mm__cut *cut)
{
	while (!mm__areas_mark(edit, cut))
		mm__edit_pause(edit);
}

void mm__areas_keep(struct mm__cut *cut)
{
	for (struct mm__garbage *garbage = cut->first; garbage; garbage = garbage->next)
		mm__area_change_end((struct mm__area *)garbage);
	*cut = mm__cut_of(cut->start, cut->end);
}

/* Leaves the parts of an area that stick out of [start, end). False: there are none, and it stays. */
static bool cut_end(struct mm__edit *edit, const struct mm__mapping *m, uint64_t start,
		    uint64_t end)
{
	struct mm__area_kind kind = mm__kind_of(m->area);
	struct mm__mapping left = { m->start, start, NULL };
	struct mm__mapping right = { end, m->end, NULL };

	if (right.start < right.end)
		right.area = new_area(&kind, false);
	if (left.start < left.end) {
		left.area = new_area(&kind, false);
		mm__area_tree_set(&edit->tree, m->start, &left);
		if (right.area)
			insert(edit, &right);
	} else if (right.area) {
		mm__area_tree_set(&edit->tree, m->start, &right);
	}
	kill(edit, m->area);
	return left.area || right.area;
}

/* Those that were marked are not killed one by one. */
static void kill_marked(struct mm__edit *edit, struct mm__cut *cut)
{
	if (!cut->first)
		return;
	cut->last->next = edit->dead;
	edit->dead = cut->first;
	cut->first = cut->last = NULL;
}

void mm__areas_cut(struct mm__edit *edit, struct mm__cut *cut)
{
	uint64_t erased = cut->count;
	struct mm__mapping m;

	if (mm__area_edit_at(&edit->tree, cut->start, &m) &&
	    !cut_end(edit, &m, cut->start, cut->end))
		erased++;
	/* Not the same again. */
	if (mm__area_edit_at(&edit->tree, cut->end - 1, &m) && m.start > cut->start &&
	    !cut_end(edit, &m, cut->start, cut->end))
		erased++;
	kill_marked(edit, cut);
	if (erased)
		erase(edit, cut->start, cut->end, erased);
}

int mm__areas_remove(struct mm__edit *edit, struct mm__cut *cut)
{
	unsigned int adds = mm__cut_adds(edit, cut->start, cut->end);

	if ((adds && !mm__room_for_areas(edit->cpu, adds)) || mm__edit_reserve(edit, 1, 0)) {
		mm__areas_keep(cut);
		return ENOMEM;
	}
	mm__areas_cut(edit, cut);
	return 0;
}

void mm__areas_cut_one(struct mm__edit *edit, uint64_t start, uint64_t end)
{
	struct mm__cut cut = mm__cut_of(start, end);

	mm__areas_cut(edit, &cut);
}

/* The neighbour that ends, or begins, where one of this kind would go on. */
static bool mergeable(const struct mm__mapping *m, const struct mm__area_kind *kind)
{
	return !mm__area_changing(m->area) && mm__same_kind(m->area, kind);
}

static bool left_neighbour(const struct mm__edit *edit, uint64_t start,
			   const struct mm__area_kind *kind, struct mm__mapping *m)
{
	return mm__area_edit_at(&edit->tree, start - 1, m) && mergeable(m, kind);
}

static bool right_neighbour(const struct mm__edit *edit, uint64_t end,
			    const struct mm__area_kind *kind, struct mm__mapping *m)
{
	return mm__area_edit_at(&edit->tree, end, m) && m->start == end && mergeable(m, kind);
}

/*
 * A neighbour grows over [start, end), where there are n areas, and maybe over the other neighbour.
 * False: there is no neighbour.
 */
static bool grow_neighbour(struct mm__edit *edit, uint64_t start, uint64_t end, uint64_t n,
			   const struct mm__area_kind *kind)
{
	struct mm__mapping left;
	struct mm__mapping right;
	bool has_left = left_neighbour(edit, start, kind, &left);
	bool has_right = right_neighbour(edit, end, kind, &right);
	bool both = has_left && has_right;

	if (!has_left && !has_right)
		return false;
	if (both) {
		kill(edit, right.area);
		end = right.end;
		n++;
	}
	if (n)
		erase(edit, start, end, n);
	mm__area_tree_clear(&edit->tree, start, end);
	if (has_left) {
		left.end = end;
		mm__area_tree_set(&edit->tree, left.start, &left);
	} else {
		right.start = start;
		mm__area_tree_set(&edit->tree, end, &right);
	}
	return true;
}

static void put_apart(struct mm__edit *edit, uint64_t start, uint64_t end,
		      const struct mm__area_kind *kind, bool changing)
{
	struct mm__mapping m = { start, end, new_area(kind, changing) };

	mm__area_tree_clear(&edit->tree, start, end);
	insert(edit, &m);
}

void mm__areas_put_apart(struct mm__edit *edit, uint64_t start, uint64_t end,
			 const struct mm__area_kind *kind)
{
	put_apart(edit, start, end, kind, false);
}

void mm__areas_put(struct mm__edit *edit, uint64_t start, uint64_t end,
		   const struct mm__area_kind *kind)
{
	if (!grow_neighbour(edit, start, end, 0, kind))
		put_apart(edit, start, end, kind, false);
}

void mm__areas_put_changing(struct mm__edit *edit, uint64_t start, uint64_t end,
			    const struct mm__area_kind *kind)
{
	put_apart(edit, start, end, kind, true);
}

/*
 * Settling
 */

/* Areas of one kind in a row, which are being changed. */
struct group {
	uint64_t start;
	uint64_t end;
	struct mm__area_kind kind;
	unsigned int count;
	uint64_t second; /* where the second begins, if there is one */
	struct mm__area *area[MM__AREAS_AT_ONCE];
};

/* Those from *m on, which begin below end; at most so many. */
static void gather(const struct mm__edit *edit, struct mm__mapping m, uint64_t end,
		   unsigned int most, struct group *group)
{
	struct mm__area_list list;

	mm__area_list_init(&list);
	group->start = m.start;
	group->end = m.start;
	group->kind = mm__kind_of(m.area);
	group->count = 0;
	while (group->count < most && group->end < end &&
	       mm__edit_next(edit, &list, group->end, &m) && m.start == group->end &&
	       mm__area_changing(m.area) && mm__same_kind(m.area, &group->kind)) {
		if (group->count == 1)
			group->second = m.start;
		group->area[group->count++] = m.area;
		group->end = m.end;
	}
}

/* Merges a group into one area, or into a neighbour. True: the tree has been changed. */
static bool merge(struct mm__edit *edit, const struct group *group)
{
	struct mm__mapping first = { group->start, group->end, group->area[0] };
	bool grown = grow_neighbour(edit, group->start, group->end, group->count, &group->kind);

	if (!grown && group->count > 1) {
		erase(edit, group->second, group->end, group->count - 1);
		mm__area_tree_clear(&edit->tree, group->second, group->end);
		mm__area_tree_set(&edit->tree, group->start, &first);
	}
	for (unsigned int i = grown ? 0 : 1; i < group->count; i++)
		kill(edit, group->area[i]);
	if (!grown)
		mm__area_change_end(group->area[0]);
	return grown || group->count > 1;
}

static void leave_apart(struct mm__edit *edit, const struct group *group)
{
	for (unsigned int i = 0; i < group->count; i++)
		mm__area_change_end(group->area[i]);
	/* relaxed: read at a quiet moment */
	atomic_store_explicit(&edit->cpu->mm->unmerged, true, memory_order_relaxed);
}

/*
 * Settles areas in [addr, end): some, and with the mm lock no more after the first merge, for which is
 * reserved. Returns where it has stopped.
 */
static uint64_t settle_some(struct mm__edit *edit, uint64_t addr, uint64_t end, bool may_merge)
{
	bool merged = false;

	for (unsigned int n = 0; n < MM__AREAS_AT_ONCE && addr < end && !merged;) {
		struct mm__mapping m;
		struct group group;

		mm__area_edit_at(&edit->tree, addr, &m);
		n++;
		addr = m.end;
		if (!mm__area_changing(m.area))
			continue;
		gather(edit, m, end, MM__AREAS_AT_ONCE + 1 - n, &group);
		n += group.count - 1;
		addr = group.end;
		if (may_merge)
			merged = merge(edit, &group) && edit->locked;
		else
			leave_apart(edit, &group);
	}
	return addr;
}

void mm__areas_settle(struct mm__cpu *cpu, uint64_t start, uint64_t end,
		      struct mm__area_budget *nodes)
{
	for (uint64_t addr = start; addr < end;) {
		struct mm__edit edit;
		bool reserved;

		mm__edit_begin(&edit, cpu, start, end, false);
		/* A merge makes no area. */
		reserved = edit.tree.leaf || !mm__edit_reserve(&edit, 0, 1);
		if (!reserved && nodes)
			edit.tree.budget = nodes;
		addr = settle_some(&edit, addr, end, reserved || nodes);
		if (reserved || !nodes)
			mm__edit_end(&edit);
		else
			mm__edit_end_refilled(&edit, nodes);
	}
}
