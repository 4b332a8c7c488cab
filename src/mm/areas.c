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
 * An area that is being changed merges with nobody: who changes it settles it when that is done.
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

bool mm__range_free(const struct mm *mm, uint64_t start, uint64_t end)
{
	struct mm__mapping m;

	return !mm__area_tree_find(&mm->areas, start, &m) || m.start >= end;
}

bool mm__room_for_areas(const struct mm *mm, uint64_t more)
{
	return mm->areas.count <= mm->attr.max_areas &&
	       more <= mm->attr.max_areas - mm->areas.count;
}

unsigned int mm__cut_adds(const struct mm *mm, uint64_t start, uint64_t end)
{
	struct mm__mapping m;

	return mm__area_tree_at(&mm->areas, start, &m) && m.start < start && end < m.end;
}

static void put_inode(const struct mm__area *area)
{
	if (area->inode)
		mm__inode_put(area->inode);
}

void mm__areas_free(struct mm__garbage *list)
{
	/* A fault that still finds the area finds its inode too, which lives as long. */
	for (struct mm__garbage *garbage = list; garbage; garbage = garbage->next)
		put_inode((struct mm__area *)garbage);
	mm__rcu_free(list);
}

static struct mm__area *new_area(struct mm *mm, struct mm__budget *budget,
				 const struct mm__area_kind *kind, bool changing)
{
	struct mm__area *area = mm__spare_area_take(mm, budget);

	memset(area, 0, sizeof(*area));
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
static void kill(struct mm *mm, struct mm__area *area)
{
	if (!mm__area_changing(area))
		mm__area_change_begin(area);
	area->garbage.next = mm->dead_areas;
	mm->dead_areas = &area->garbage;
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
	mm__spare_areas_free(mm);
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

bool mm__areas_mark(struct mm *mm, struct mm__cut *cut)
{
	struct mm__garbage *before = cut->first;
	struct mm__area_list list;
	struct mm__mapping m;
	bool more = true;

	mm__area_list_init(&list);
	for (unsigned int n = 0; n < MM__AREAS_AT_ONCE && more; n++) {
		more = mm__area_list_next(&mm->areas, &list, cut->next, &m) && m.end < cut->end;
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

void mm__areas_mark_all(struct mm__cpu *cpu, struct mm__cut *cut)
{
	while (!mm__areas_mark(cpu->mm, cut)) {
		mm__unlock(cpu->mm, cpu);
		mm__lock(cpu->mm);
	}
}

void mm__areas_keep(struct mm__cut *cut)
{
	for (struct mm__garbage *garbage = cut->first; garbage; garbage = garbage->next)
		mm__area_change_end((struct mm__area *)garbage);
	*cut = mm__cut_of(cut->start, cut->end);
}

/* Leaves the parts of an area that stick out of [start, end). False: there are none, and it stays. */
static bool cut_end(struct mm *mm, struct mm__budget *budget, const struct mm__mapping *m,
		    uint64_t start, uint64_t end)
{
	struct mm__area_kind kind = mm__kind_of(m->area);
	struct mm__mapping left = { m->start, start, NULL };
	struct mm__mapping right = { end, m->end, NULL };

	if (right.start < right.end)
		right.area = new_area(mm, budget, &kind, false);
	if (left.start < left.end) {
		left.area = new_area(mm, budget, &kind, false);
		mm__area_tree_set(&mm->areas, &budget->nodes, m->start, &left);
		if (right.area)
			mm__area_tree_insert(&mm->areas, &budget->nodes, &right);
	} else if (right.area) {
		mm__area_tree_set(&mm->areas, &budget->nodes, m->start, &right);
	}
	kill(mm, m->area);
	return left.area || right.area;
}

/* Those that were marked are not killed one by one. */
static void kill_marked(struct mm *mm, struct mm__cut *cut)
{
	if (!cut->first)
		return;
	cut->last->next = mm->dead_areas;
	mm->dead_areas = cut->first;
	cut->first = cut->last = NULL;
}

void mm__areas_cut(struct mm *mm, struct mm__budget *budget, struct mm__cut *cut)
{
	uint64_t erased = cut->count;
	struct mm__mapping m;

	if (mm__area_tree_at(&mm->areas, cut->start, &m) &&
	    !cut_end(mm, budget, &m, cut->start, cut->end))
		erased++;
	/* Not the same again. */
	if (mm__area_tree_at(&mm->areas, cut->end - 1, &m) && m.start > cut->start &&
	    !cut_end(mm, budget, &m, cut->start, cut->end))
		erased++;
	kill_marked(mm, cut);
	if (erased)
		mm__area_tree_erase_range(&mm->areas, &budget->nodes, cut->start, cut->end, erased);
}

int mm__areas_remove(struct mm *mm, struct mm__cut *cut)
{
	unsigned int adds = mm__cut_adds(mm, cut->start, cut->end);
	struct mm__budget budget;

	if ((adds && !mm__room_for_areas(mm, adds)) || mm__areas_reserve(mm, &budget, 1, 0, 0)) {
		mm__areas_keep(cut);
		return ENOMEM;
	}
	mm__areas_cut(mm, &budget, cut);
	mm__areas_release(mm, &budget);
	return 0;
}

void mm__areas_cut_one(struct mm *mm, struct mm__budget *budget, uint64_t start, uint64_t end)
{
	struct mm__cut cut = mm__cut_of(start, end);

	mm__areas_cut(mm, budget, &cut);
}

/* The neighbour that ends, or begins, where one of this kind would go on. */
static bool mergeable(const struct mm__mapping *m, const struct mm__area_kind *kind)
{
	return !mm__area_changing(m->area) && mm__same_kind(m->area, kind);
}

static bool left_neighbour(const struct mm *mm, uint64_t start, const struct mm__area_kind *kind,
			   struct mm__mapping *m)
{
	return mm__area_tree_at(&mm->areas, start - 1, m) && mergeable(m, kind);
}

static bool right_neighbour(const struct mm *mm, uint64_t end, const struct mm__area_kind *kind,
			    struct mm__mapping *m)
{
	return mm__area_tree_at(&mm->areas, end, m) && m->start == end && mergeable(m, kind);
}

/*
 * A neighbour grows over [start, end), where there are n areas, and maybe over the other neighbour.
 * False: there is no neighbour.
 */
static bool grow_neighbour(struct mm *mm, struct mm__budget *budget, uint64_t start, uint64_t end,
			   uint64_t n, const struct mm__area_kind *kind)
{
	struct mm__mapping left;
	struct mm__mapping right;
	bool has_left = left_neighbour(mm, start, kind, &left);
	bool has_right = right_neighbour(mm, end, kind, &right);
	bool both = has_left && has_right;

	if (!has_left && !has_right)
		return false;
	if (n || both)
		mm__area_tree_erase_range(&mm->areas, &budget->nodes, start, both ? right.end : end,
					  n + (both ? 1 : 0));
	if (both)
		kill(mm, right.area);
	if (has_left) {
		left.end = both ? right.end : end;
		mm__area_tree_set(&mm->areas, &budget->nodes, left.start, &left);
	} else {
		right.start = start;
		mm__area_tree_set(&mm->areas, &budget->nodes, end, &right);
	}
	return true;
}

static void put_apart(struct mm *mm, struct mm__budget *budget, uint64_t start, uint64_t end,
		      const struct mm__area_kind *kind, bool changing)
{
	struct mm__mapping m = { start, end, new_area(mm, budget, kind, changing) };

	mm__area_tree_insert(&mm->areas, &budget->nodes, &m);
}

void mm__areas_put_apart(struct mm *mm, struct mm__budget *budget, uint64_t start, uint64_t end,
			 const struct mm__area_kind *kind)
{
	put_apart(mm, budget, start, end, kind, false);
}

void mm__areas_put(struct mm *mm, struct mm__budget *budget, uint64_t start, uint64_t end,
		   const struct mm__area_kind *kind)
{
	if (!grow_neighbour(mm, budget, start, end, 0, kind))
		put_apart(mm, budget, start, end, kind, false);
}

void mm__areas_put_changing(struct mm *mm, struct mm__budget *budget, uint64_t start, uint64_t end,
			    const struct mm__area_kind *kind)
{
	put_apart(mm, budget, start, end, kind, true);
}

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
static void gather(const struct mm *mm, struct mm__mapping m, uint64_t end, unsigned int most,
		   struct group *group)
{
	struct mm__area_list list;

	mm__area_list_init(&list);
	group->start = m.start;
	group->end = m.start;
	group->kind = mm__kind_of(m.area);
	group->count = 0;
	while (group->count < most && group->end < end &&
	       mm__area_list_next(&mm->areas, &list, group->end, &m) && m.start == group->end &&
	       mm__area_changing(m.area) && mm__same_kind(m.area, &group->kind)) {
		if (group->count == 1)
			group->second = m.start;
		group->area[group->count++] = m.area;
		group->end = m.end;
	}
}

/* Merges a group into one area, or into a neighbour. True: the tree has been changed. */
static bool merge(struct mm *mm, struct mm__budget *budget, const struct group *group)
{
	struct mm__mapping first = { group->start, group->end, group->area[0] };
	bool grown =
		grow_neighbour(mm, budget, group->start, group->end, group->count, &group->kind);

	if (!grown && group->count > 1) {
		mm__area_tree_erase_range(&mm->areas, &budget->nodes, group->second, group->end,
					  group->count - 1);
		mm__area_tree_set(&mm->areas, &budget->nodes, group->start, &first);
	}
	for (unsigned int i = grown ? 0 : 1; i < group->count; i++)
		kill(mm, group->area[i]);
	if (!grown)
		mm__area_change_end(group->area[0]);
	return grown || group->count > 1;
}

bool mm__areas_settle_some(struct mm *mm, struct mm__budget *budget, uint64_t *addr, uint64_t end,
			   bool *merged)
{
	struct mm__mapping m;

	*merged = false;
	for (unsigned int n = 0; n < MM__AREAS_AT_ONCE && *addr < end && !*merged;) {
		struct group group;

		mm__area_tree_at(&mm->areas, *addr, &m);
		if (mm__area_changing(m.area)) {
			gather(mm, m, end, MM__AREAS_AT_ONCE - n, &group);
			*merged = merge(mm, budget, &group);
			n += group.count;
			*addr = group.end;
		} else {
			n++;
			*addr = m.end;
		}
	}
	return *addr >= end;
}

void mm__areas_settle(struct mm *mm, struct mm__budget *budget, uint64_t start)
{
	struct mm__mapping m;
	struct mm__area_kind kind;

	mm__area_tree_at(&mm->areas, start, &m);
	kind = mm__kind_of(m.area);
	if (grow_neighbour(mm, budget, m.start, m.end, 1, &kind))
		kill(mm, m.area);
	else
		mm__area_change_end(m.area);
}
