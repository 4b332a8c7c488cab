/* SPDX-License-Identifier: MIT */
/*
 * The spare areas and nodes of a space: what an operation reserves of them, before it changes anything.
 */
#include "internal.h"
#include "memory.h"

#include <errno.h>

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

static unsigned int nr_reserved(const struct mm *mm)
{
	return atomic_load_explicit(&mm->reserved_areas, memory_order_relaxed);
}

static void set_nr_reserved(struct mm *mm, unsigned int n)
{
	atomic_store_explicit(&mm->reserved_areas, n, memory_order_relaxed);
}

/* A cut changes the areas at both ends, and erases the rest, or leaves one area in two parts. */
#define CUT_CHANGES 3u
#define CUT_AREAS   2u
/* One neighbour goes, the other grows. */
#define PUT_CHANGES    2u
#define SETTLE_CHANGES 2u

static struct mm__area_needs needs_of(const struct mm *mm, unsigned int cuts, unsigned int puts,
				      unsigned int settles)
{
	/* Each of the threads may have divided an area that is to be one again. */
	uint64_t more = 3 * (uint64_t)MM__CPU_MANY;
	uint64_t most = mm->attr.max_areas;

	return (struct mm__area_needs){ CUT_CHANGES * cuts + PUT_CHANGES * puts,
					SETTLE_CHANGES * settles,
					most > UINT64_MAX - more ? UINT64_MAX : most + more };
}

static unsigned int areas_for(unsigned int cuts, unsigned int puts)
{
	return CUT_AREAS * cuts + puts;
}

static struct mm__area *preload_areas(const struct mm *mm, unsigned int areas)
{
	unsigned int wanted = nr_reserved(mm) + areas;
	struct mm__area *list = NULL;

	for (unsigned int n = nr_spares(mm); n < wanted && add_spare(&list); n++)
		;
	return list;
}

static void stock_areas(struct mm *mm, struct mm__area *list)
{
	while (list) {
		struct mm__area *area = list;

		list = next_spare(area);
		area->garbage.next = (struct mm__garbage *)mm->spare_areas;
		mm->spare_areas = area;
		set_nr_spares(mm, nr_spares(mm) + 1);
	}
}

static void lock_prepared(struct mm *mm, const struct mm__area_needs *needs, unsigned int areas)
{
	struct mm__area_spares nodes;
	struct mm__area *list = preload_areas(mm, areas);

	mm__area_tree_preload(&mm->areas, needs, &nodes);
	mm__lock(mm);
	mm__area_tree_stock(&mm->areas, &nodes);
	stock_areas(mm, list);
}

void mm__lock_prepared_for(struct mm *mm, unsigned int cuts)
{
	struct mm__area_needs needs = needs_of(mm, cuts, 1, 1);

	lock_prepared(mm, &needs, areas_for(cuts, 1));
}

static int reserve(struct mm *mm, struct mm__budget *budget, const struct mm__area_needs *needs,
		   unsigned int areas)
{
	while (nr_spares(mm) < nr_reserved(mm) + areas) {
		if (!add_spare(&mm->spare_areas))
			return ENOMEM;
		set_nr_spares(mm, nr_spares(mm) + 1);
	}
	if (mm__area_tree_reserve(&mm->areas, &budget->nodes, needs))
		return ENOMEM;
	budget->areas = areas;
	set_nr_reserved(mm, nr_reserved(mm) + areas);
	return 0;
}

int mm__areas_reserve(struct mm *mm, struct mm__budget *budget, unsigned int cuts,
		      unsigned int puts, unsigned int settles)
{
	struct mm__area_needs needs = needs_of(mm, cuts, puts, settles);

	return reserve(mm, budget, &needs, areas_for(cuts, puts));
}

/*
 * Of the areas in a range, the first and the last may stick out of it. If that is one, it is cut in two
 * places. In any case the area that changes is new, and so is each part that stays.
 */
#define FIRST_CHANGES 3u
#define LAST_CHANGES  2u
#define ENDS_AREAS    4u

static struct mm__area_needs change_needs(const struct mm *mm, bool may_split)
{
	struct mm__area_needs needs = needs_of(mm, 0, 0, 1);

	needs.now = FIRST_CHANGES;
	needs.later += may_split ? LAST_CHANGES : 0;
	return needs;
}

int mm__lock_and_reserve_change(struct mm *mm, struct mm__budget *budget)
{
	struct mm__area_needs needs = change_needs(mm, true);

	lock_prepared(mm, &needs, ENDS_AREAS);
	return reserve(mm, budget, &needs, ENDS_AREAS);
}

void mm__lock_refilled(struct mm *mm, struct mm__budget *budget, bool may_split,
		       struct mm__garbage *retired)
{
	struct mm__area_needs needs = change_needs(mm, may_split);
	struct mm__area_spares nodes;

	if (mm__area_tree_prepare_refill(&budget->nodes, &needs, &nodes)) {
		mm__rcu_wait();
		mm__area_tree_reuse(&budget->nodes, &needs, retired, &nodes);
	} else {
		mm__rcu_free(retired);
	}
	mm__lock(mm);
	mm__area_tree_refill(&mm->areas, &budget->nodes, &needs, &nodes);
}

bool mm__areas_reserved(const struct mm *mm)
{
	return nr_reserved(mm) || mm->areas.reserved[0] || mm->areas.reserved[1];
}

void mm__areas_release(struct mm *mm, struct mm__budget *budget)
{
	mm__area_tree_release(&mm->areas, &budget->nodes);
	set_nr_reserved(mm, nr_reserved(mm) - budget->areas);
	budget->areas = 0;
}

struct mm__area *mm__spare_area_take(struct mm *mm, struct mm__budget *budget)
{
	struct mm__area *area = mm->spare_areas;

	mm__check(budget->areas && area, "an operation uses more areas than it reserved");
	budget->areas--;
	set_nr_reserved(mm, nr_reserved(mm) - 1);
	mm->spare_areas = next_spare(area);
	set_nr_spares(mm, nr_spares(mm) - 1);
	return area;
}

void mm__spare_areas_free(struct mm *mm)
{
	while (mm->spare_areas) {
		struct mm__area *area = mm->spare_areas;

		mm->spare_areas = next_spare(area);
		mm__free(area);
	}
}
