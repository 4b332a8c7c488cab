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
	return (struct mm__area_kind){ area->prot, area->flags, area->inode, area->offset };
}

bool mm__same_kind(const struct mm__area *area, const struct mm__area_kind *kind)
{
	return area->prot == kind->prot && area->flags == kind->flags &&
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

/*
 * Memory
 */

static struct mm__area *next_spare(struct mm__area *area)
{
	return (struct mm__area *)area->garbage.next;
}

static unsigned int nr_spares(const struct mm *mm)
{
	/* relaxed: it changes under the mm lock only, and without it, is a hint */
	return atomic_load_explicit(&mm->nr_spare_areas, memory_order_relaxed);
}

static void set_nr_spares(struct mm *mm, unsigned int n)
{
	atomic_store_explicit(&mm->nr_spare_areas, n, memory_order_relaxed);
}

static bool add_spare(struct mm__area **list)
{
	struct mm__area *area = mm__allocate(_Alignof(struct mm__area), sizeof(*area));

	if (!area)
		return false;
	area->garbage.next = (struct mm__garbage *)*list;
	*list = area;
	return true;
}

struct mm__area *mm__areas_preload(const struct mm *mm)
{
	struct mm__area *list = NULL;

	for (unsigned int n = nr_spares(mm); n < 4 && add_spare(&list); n++)
		;
	return list;
}

void mm__areas_stock(struct mm *mm, struct mm__area *list)
{
	while (list) {
		struct mm__area *area = list;

		list = next_spare(area);
		area->garbage.next = (struct mm__garbage *)mm->spare_areas;
		mm->spare_areas = area;
		set_nr_spares(mm, nr_spares(mm) + 1);
	}
}

int mm__areas_reserve(struct mm *mm, uint64_t start, uint64_t end, unsigned int puts)
{
	/* Settling what others are changing comes later, and must not fail either. */
	unsigned int changes = 3 * (puts + mm->nr_changing) + 1;
	struct mm__mapping m;

	/* Cutting changes each area there; one may be left in two parts. */
	while (start < end && mm__area_tree_find(&mm->areas, start, &m) && m.start < end) {
		changes++;
		start = m.end;
	}
	while (nr_spares(mm) < puts + 2) {
		if (!add_spare(&mm->spare_areas))
			return ENOMEM;
		set_nr_spares(mm, nr_spares(mm) + 1);
	}
	return mm__area_tree_reserve(&mm->areas, changes);
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

static struct mm__area *new_area(struct mm *mm, const struct mm__area_kind *kind, bool changing)
{
	struct mm__area *area = mm->spare_areas;

	mm->spare_areas = next_spare(area);
	set_nr_spares(mm, nr_spares(mm) - 1);
	memset(area, 0, sizeof(*area));
	atomic_init(&area->seq, changing);
	area->prot = kind->prot;
	area->flags = kind->flags;
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
	while (mm->spare_areas) {
		struct mm__area *area = mm->spare_areas;

		mm->spare_areas = next_spare(area);
		mm__free(area);
	}
}

/*
 * Changes
 */

void mm__areas_cut(struct mm *mm, uint64_t start, uint64_t end)
{
	struct mm__mapping m;

	while (mm__area_tree_find(&mm->areas, start, &m) && m.start < end) {
		struct mm__area_kind kind = mm__kind_of(m.area);
		struct mm__mapping left = { m.start, start, NULL };
		struct mm__mapping right = { end, m.end, NULL };

		if (right.start < right.end)
			right.area = new_area(mm, &kind, false);
		if (left.start < left.end) {
			left.area = new_area(mm, &kind, false);
			mm__area_tree_set(&mm->areas, m.start, &left);
			if (right.area)
				mm__area_tree_insert(&mm->areas, &right);
		} else if (right.area) {
			mm__area_tree_set(&mm->areas, m.start, &right);
		} else {
			mm__area_tree_erase(&mm->areas, m.start);
		}
		kill(mm, m.area);
	}
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

/* A neighbour grows over [start, end), and maybe over the other neighbour. False: there is none. */
static bool grow_neighbour(struct mm *mm, uint64_t start, uint64_t end,
			   const struct mm__area_kind *kind)
{
	struct mm__mapping left;
	struct mm__mapping right;
	bool has_right = right_neighbour(mm, end, kind, &right);

	if (left_neighbour(mm, start, kind, &left)) {
		left.end = end;
		if (has_right) {
			left.end = right.end;
			mm__area_tree_erase(&mm->areas, right.start);
			kill(mm, right.area);
		}
		mm__area_tree_set(&mm->areas, left.start, &left);
	} else if (has_right) {
		right.start = start;
		mm__area_tree_set(&mm->areas, end, &right);
	} else {
		return false;
	}
	return true;
}

static void put_apart(struct mm *mm, uint64_t start, uint64_t end, const struct mm__area_kind *kind,
		      bool changing)
{
	struct mm__mapping m = { start, end, new_area(mm, kind, changing) };

	mm__area_tree_insert(&mm->areas, &m);
}

void mm__areas_put_apart(struct mm *mm, uint64_t start, uint64_t end,
			 const struct mm__area_kind *kind)
{
	put_apart(mm, start, end, kind, false);
}

void mm__areas_put(struct mm *mm, uint64_t start, uint64_t end, const struct mm__area_kind *kind)
{
	if (!grow_neighbour(mm, start, end, kind))
		mm__areas_put_apart(mm, start, end, kind);
}

void mm__areas_put_changing(struct mm *mm, uint64_t start, uint64_t end,
			    const struct mm__area_kind *kind)
{
	put_apart(mm, start, end, kind, true);
	mm->nr_changing++;
}

void mm__areas_settle(struct mm *mm, uint64_t start)
{
	struct mm__mapping m;
	struct mm__mapping neighbour;
	struct mm__area_kind kind;

	mm->nr_changing--;
	mm__area_tree_at(&mm->areas, start, &m);
	kind = mm__kind_of(m.area);
	if (!left_neighbour(mm, m.start, &kind, &neighbour) &&
	    !right_neighbour(mm, m.end, &kind, &neighbour)) {
		mm__area_change_end(m.area);
		return;
	}
	mm__area_tree_erase(&mm->areas, m.start);
	grow_neighbour(mm, m.start, m.end, &kind);
	kill(mm, m.area);
}
