/* SPDX-License-Identifier: MIT */
/*
 * mm_mremap(). Results and errors, and their order, as in Linux's mm/mremap.c, but for the move of
 * more than one area at once, which is new there, and a second mapping of shared memory (old_length
 * 0), which needs pages that are mapped twice.
 *
 * What has to be held depends on what has to be done, and that on the areas: so a plan is made
 * under the mm lock, what it touches is held, and the plan is made again. If that is held too it is
 * carried out, otherwise all starts anew.
 *
 * A move is atomic towards accesses: at first nothing can be accessed at the old place, then it
 * appears at the new one. Whoever finds one of the two missing faults, and waits.
 */
#include "internal.h"

#include <errno.h>

struct request {
	uint64_t old;
	uint64_t old_length;
	uint64_t new_length;
	uint64_t new_addr; /* with MM_MREMAP_FIXED */
	int flags;
};

enum kind { FAIL, STAY, SHRINK, GROW, MOVE };

struct plan {
	enum kind kind;
	int error;       /* FAIL */
	uint64_t target; /* MOVE: where to; otherwise where it is */
	int prot;        /* MOVE: the area's */
	/* What has to be held: [start, end), and [target, target + new length) for MOVE. */
	uint64_t start;
	uint64_t end;
};

static bool overlap(uint64_t a, uint64_t a_length, uint64_t b, uint64_t b_length)
{
	if (!a_length)
		return false;
	return a < b ? b - a < a_length : a - b < b_length;
}

static int check_request(const struct request *r)
{
	if (r->flags & ~(MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED) || !mm__page_aligned(r->old) ||
	    !r->new_length || r->new_length > MM_ADDR_MAX)
		return EINVAL;
	if (!(r->flags & MM_MREMAP_FIXED))
		return 0;
	if (!(r->flags & MM_MREMAP_MAYMOVE) || !mm__page_aligned(r->new_addr) ||
	    r->new_addr > MM_ADDR_MAX - r->new_length ||
	    overlap(r->old, r->old_length, r->new_addr, r->new_length))
		return EINVAL;
	return 0;
}

/*
 * Plans are made with the mm lock held.
 */

static struct plan fail(const struct request *r, int error)
{
	return (struct plan){ FAIL, error, r->old, 0, r->old, r->old + MM_PAGE_SIZE };
}

static struct plan do_here(const struct request *r, enum kind kind, uint64_t length)
{
	return (struct plan){ kind, 0, r->old, 0, r->old, r->old + length };
}

static struct plan move(const struct request *r, const struct mm__area *area, uint64_t target)
{
	return (struct plan){ MOVE, 0, target, area->prot, r->old, r->old + r->old_length };
}

static struct plan plan_shrink(const struct mm *mm, const struct request *r)
{
	uint64_t adds;

	if (r->old_length == r->new_length)
		return do_here(r, STAY, MM_PAGE_SIZE);
	if (r->old_length > MM_ADDR_MAX - r->old)
		return fail(r, EINVAL);
	adds = mm__cut_adds(mm, r->old + r->new_length, r->old + r->old_length);
	if (adds && !mm__room_for_areas(mm, adds))
		return fail(r, ENOMEM);
	return do_here(r, SHRINK, r->old_length);
}

static bool can_grow_here(const struct mm *mm, const struct request *r, const struct mm__area *area)
{
	return r->old_length == area->end - r->old && r->new_length <= MM_ADDR_MAX - r->old &&
	       mm__range_free(mm, area->end, r->old + r->new_length);
}

static struct plan plan_grow(const struct mm *mm, const struct request *r,
			     const struct mm__area *area)
{
	uint64_t target;

	if (!r->old_length)
		return fail(r, EINVAL);
	if (r->old_length > area->end - r->old)
		return fail(r, EFAULT);
	if (can_grow_here(mm, r, area))
		return do_here(r, GROW, r->new_length);
	/* Linux wants that much room for any move, and two more for one that replaces something. */
	if (!(r->flags & MM_MREMAP_MAYMOVE) || !mm__room_for_areas(mm, 4) ||
	    !mm__area_tree_highest_gap(&mm->areas, r->new_length, MM_ADDR_MIN, MM_ADDR_MAX,
				       &target))
		return fail(r, ENOMEM);
	return move(r, area, target);
}

static struct plan plan_fixed(const struct mm *mm, const struct request *r)
{
	uint64_t moved = mm__min(r->old_length, r->new_length);
	const struct mm__area *area;

	if (!mm__room_for_areas(mm, 6))
		return fail(r, ENOMEM);
	area = mm__area_at(mm, r->old);
	if (!area)
		return fail(r, EFAULT);
	if (!r->old_length)
		return fail(r, EINVAL);
	if (moved > area->end - r->old)
		return fail(r, EFAULT);
	if (r->old_length > MM_ADDR_MAX - r->old)
		return fail(r, EINVAL);
	if (r->new_addr < MM_ADDR_MIN)
		return fail(r, EPERM);
	return move(r, area, r->new_addr);
}

static struct plan make_plan(const struct mm *mm, const struct request *r)
{
	const struct mm__area *area;

	if (r->flags & MM_MREMAP_FIXED)
		return plan_fixed(mm, r);
	area = mm__area_at(mm, r->old);
	if (!area)
		return fail(r, EFAULT);
	if (r->new_length <= r->old_length)
		return plan_shrink(mm, r);
	return plan_grow(mm, r, area);
}

/*
 * Carrying them out
 */

static bool plan_held(const struct mm__hold *hold, const struct request *r, const struct plan *plan)
{
	return mm__hold_covers(hold, plan->start, plan->end) &&
	       (plan->kind != MOVE ||
		mm__hold_covers(hold, plan->target, plan->target + r->new_length));
}

static void hold_plan(struct mm *mm, struct mm__hold *hold, const struct request *r,
		      const struct plan *plan)
{
	uint64_t length = plan->kind == MOVE ? r->new_length : 0;

	mm__hold_write_two(mm, hold, plan->start, plan->end, plan->target, plan->target + length);
}

/*
 * Makes a plan, and holds and prepares all that it needs. Returns with the mm lock held; if it is
 * ENOMEM, a plan that fails.
 */
static struct plan settle(struct mm *mm, struct mm__hold *hold, const struct request *r)
{
	uint64_t prepared = 0;
	bool held = false;
	struct plan plan;

	mm__lock(mm);
	for (;;) {
		plan = make_plan(mm, r);
		if (held && plan_held(hold, r, &plan)) {
			if (plan.kind != MOVE || plan.target == prepared)
				return plan;
			mm__unlock(mm);
		} else {
			mm__unlock(mm);
			if (held)
				mm__release(mm, hold);
			hold_plan(mm, hold, r, &plan);
			held = true;
		}
		prepared = 0;
		if (plan.kind == MOVE &&
		    mm__pages_prepare_move(&mm->page_table, r->old, plan.target,
					   mm__min(r->old_length, r->new_length))) {
			mm__lock(mm);
			return fail(r, ENOMEM);
		}
		prepared = plan.target;
		mm__lock(mm);
	}
}

/* With the mm lock held. 0 or ENOMEM. */
static int change_areas(struct mm *mm, const struct request *r, const struct plan *plan)
{
	struct mm__area area;

	if (plan->kind == STAY)
		return 0;
	if (mm__areas_reserve(mm, 3))
		return ENOMEM;
	area = *mm__area_at(mm, r->old);
	if (plan->kind == SHRINK) {
		mm__areas_cut(mm, r->old + r->new_length, r->old + r->old_length);
	} else if (plan->kind == GROW) {
		area.offset += area.end - area.start;
		area.start = area.end;
		area.end = r->old + r->new_length;
		mm__areas_put(mm, &area);
	} else {
		area.offset += r->old - area.start;
		area.start = plan->target;
		area.end = plan->target + r->new_length;
		mm__areas_cut(mm, area.start, area.end);
		mm__areas_cut(mm, r->old, r->old + r->old_length);
		mm__areas_put(mm, &area);
	}
	return 0;
}

static void change_pages(struct mm *mm, const struct request *r, const struct plan *plan)
{
	struct mm__page_table *pt = &mm->page_table;
	uint64_t kept = mm__min(r->old_length, r->new_length);

	if (r->old_length > kept)
		mm__pages_zap(pt, r->old + kept, r->old + r->old_length);
	if (plan->kind == MOVE) {
		mm__pages_zap(pt, plan->target, plan->target + r->new_length);
		mm__pages_protect(pt, r->old, r->old + kept, MM_PROT_NONE);
		mm__pages_move(pt, r->old, plan->target, kept, plan->prot);
	}
}

int mm_mremap(struct mm *mm, uint64_t old_addr, uint64_t old_length, uint64_t new_length, int flags,
	      uint64_t new_addr, uint64_t *result)
{
	struct request request = { old_addr, mm__page_align(old_length), mm__page_align(new_length),
				   new_addr, flags };
	int error = check_request(&request);
	struct mm__hold hold;
	struct plan plan;

	if (error)
		return error;
	if (old_addr >= MM_ADDR_MAX)
		return EFAULT;
	plan = settle(mm, &hold, &request);
	error = plan.kind == FAIL ? plan.error : change_areas(mm, &request, &plan);
	mm__unlock(mm);
	if (!error) {
		change_pages(mm, &request, &plan);
		*result = plan.target;
	}
	mm__release(mm, &hold);
	return error;
}
