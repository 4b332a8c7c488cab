/* SPDX-License-Identifier: MIT */
/*
 * mm_mremap(). Results and errors, and their order, as in Linux's mm/mremap.c, but for the move of
 * more than one area at once, which is new there.
 *
 * What has to be held depends on what has to be done, and that on the areas: so a plan is made
 * under the mm lock, what it touches is held, and the plan is made again. If that is held too it is
 * carried out, otherwise all starts anew.
 *
 * A move is atomic towards accesses: at first nothing can be accessed at the old place, then it
 * appears at the new one. Whoever finds one of the two missing faults, and waits: nothing is mapped
 * at the old place any more, and the area at the new one counts as being changed until all is there.
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
	/* What has to be held: [start, end), and [target, target + new length) for MOVE. */
	uint64_t start;
	uint64_t end;
};

/* As Linux has it: the sum may wrap, and an empty old range overlaps what it is within. */
static bool overlap(const struct request *r)
{
	return r->old + r->old_length > r->new_addr && r->new_addr + r->new_length > r->old;
}

static int check_request(const struct request *r)
{
	if (r->flags & ~(MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED) || !mm__page_aligned(r->old) ||
	    !r->new_length || r->new_length > MM_ADDR_MAX)
		return EINVAL;
	if (!(r->flags & MM_MREMAP_FIXED))
		return 0;
	if (!(r->flags & MM_MREMAP_MAYMOVE) || !mm__page_aligned(r->new_addr) ||
	    r->new_addr > MM_ADDR_MAX - r->new_length || overlap(r))
		return EINVAL;
	return 0;
}

/*
 * Plans are made with the mm lock held.
 */

static struct plan fail(const struct request *r, int error)
{
	return (struct plan){ FAIL, error, r->old, r->old, r->old + MM_PAGE_SIZE };
}

static struct plan do_here(const struct request *r, enum kind kind, uint64_t length)
{
	return (struct plan){ kind, 0, r->old, r->old, r->old + length };
}

static struct plan move(const struct request *r, uint64_t target)
{
	/* With old_length 0 it is not moved, but seen twice. */
	uint64_t length = r->old_length ? r->old_length : MM_PAGE_SIZE;

	return (struct plan){ MOVE, 0, target, r->old, r->old + length };
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

static bool can_grow_here(const struct mm *mm, const struct request *r, const struct mm__mapping *m)
{
	return r->old_length == m->end - r->old && r->new_length <= MM_ADDR_MAX - r->old &&
	       mm__range_free(mm, m->end, r->old + r->new_length);
}

/* Only shared memory can be seen twice. */
static bool may_move(const struct request *r, const struct mm__mapping *m)
{
	return r->old_length || mm__area_flags(m->area) & MM_MAP_SHARED;
}

static struct plan plan_grow(const struct mm *mm, const struct request *r,
			     const struct mm__mapping *m)
{
	uint64_t target;

	if (!may_move(r, m))
		return fail(r, EINVAL);
	if (r->old_length > m->end - r->old)
		return fail(r, EFAULT);
	if (can_grow_here(mm, r, m))
		return do_here(r, GROW, r->new_length);
	/* Linux wants that much room for any move, and two more for one that replaces something. */
	if (!(r->flags & MM_MREMAP_MAYMOVE) || !mm__room_for_areas(mm, 4) ||
	    !mm__find_place(mm, r->new_length, &target))
		return fail(r, ENOMEM);
	return move(r, target);
}

/* Linux wants room before it looks for what is to be moved. */
static bool room_for_fixed(const struct mm *mm)
{
	return mm__room_for_areas(mm, 6);
}

static struct plan plan_fixed(const struct mm *mm, const struct request *r)
{
	uint64_t moved = mm__min(r->old_length, r->new_length);
	struct mm__mapping m;

	if (!room_for_fixed(mm))
		return fail(r, ENOMEM);
	if (!mm__area_tree_at(&mm->areas, r->old, &m))
		return fail(r, EFAULT);
	if (!may_move(r, &m))
		return fail(r, EINVAL);
	/* Where nothing is moved the target may begin there, and is unmapped first. */
	if (r->new_addr == r->old || moved > m.end - r->old)
		return fail(r, EFAULT);
	if (r->old_length > MM_ADDR_MAX - r->old)
		return fail(r, EINVAL);
	if (r->new_addr < MM_ADDR_MIN)
		return fail(r, EPERM);
	return move(r, r->new_addr);
}

static struct plan make_plan(const struct mm *mm, const struct request *r)
{
	struct mm__mapping m;

	if (r->flags & MM_MREMAP_FIXED)
		return plan_fixed(mm, r);
	if (!mm__area_tree_at(&mm->areas, r->old, &m))
		return fail(r, EFAULT);
	if (r->new_length <= r->old_length)
		return plan_shrink(mm, r);
	return plan_grow(mm, r, &m);
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

static int hold_plan(struct mm__cpu *cpu, struct mm__hold *hold, const struct request *r,
		     const struct plan *plan)
{
	uint64_t length = plan->kind == MOVE ? r->new_length : 0;

	return mm__hold_write_two(cpu, hold, plan->start, plan->end, plan->target,
				  plan->target + length);
}

/* What a plan needs beside what is to be held. */
struct state {
	struct mm__hold hold;
	bool held;
	struct mm__pins pins;
	uint64_t prepared; /* the target that the pins are for; 0: none */
	/* What is to be cut out at the old place, and at the target; for the plan that is held. */
	struct mm__cut old;
	struct mm__cut replaced;
	struct mm__budget budget;
};

static int prepare(struct mm__cpu *cpu, struct state *state, const struct request *r,
		   const struct plan *plan)
{
	if (plan->kind != MOVE || plan->target == state->prepared)
		return 0;
	state->prepared = plan->target;
	return mm__pages_prepare_move(cpu->mm, cpu, &state->pins, r->old, plan->target,
				      mm__min(r->old_length, r->new_length));
}

/* With the hold: what has been marked stays. */
static void keep_areas(struct state *state)
{
	mm__areas_keep(&state->old);
	mm__areas_keep(&state->replaced);
}

/* Marks some of the areas that the plan cuts out. True: there are no more. With the mm lock held. */
static bool mark(struct mm *mm, struct state *state, const struct request *r,
		 const struct plan *plan)
{
	uint64_t kept = plan->kind == SHRINK ? r->new_length : 0;

	if (plan->kind != SHRINK && plan->kind != MOVE)
		return true;
	if (!state->old.end)
		state->old = mm__cut_of(r->old + kept, r->old + r->old_length);
	if (plan->kind == MOVE && state->replaced.start != plan->target)
		state->replaced = mm__cut_of(plan->target, plan->target + r->new_length);
	return mm__areas_mark(mm, &state->old) &&
	       (plan->kind == SHRINK || mm__areas_mark(mm, &state->replaced));
}

/* Holds what the plan needs, instead of what is held. */
static int hold_again(struct mm__cpu *cpu, struct state *state, const struct request *r,
		      const struct plan *plan)
{
	int error;

	if (state->held) {
		keep_areas(state);
		mm__release(cpu, &state->hold);
	}
	state->old = state->replaced = mm__cut_of(0, 0);
	error = hold_plan(cpu, &state->hold, r, plan);
	state->held = !error;
	state->prepared = 0;
	return error;
}

/*
 * Makes a plan, and holds and prepares all that it needs. Returns with the mm lock held; on error,
 * with a plan that fails. What has been marked for one plan is so for the next that needs no other
 * hold: the kind of a plan, and its target, then stay the same, unless it fails.
 */
static struct plan settle(struct mm__cpu *cpu, struct state *state, const struct request *r)
{
	struct mm *mm = cpu->mm;

	mm__lock_prepared_for(mm, 2);
	for (;;) {
		struct plan plan = make_plan(mm, r);
		bool held = state->held && plan_held(&state->hold, r, &plan);
		bool prepared = held && (plan.kind != MOVE || plan.target == state->prepared);
		int error = 0;

		if (prepared && mark(mm, state, r, &plan))
			return plan;
		mm__unlock(mm, cpu);
		if (!held)
			error = hold_again(cpu, state, r, &plan);
		if (!error && !prepared)
			error = prepare(cpu, state, r, &plan);
		mm__lock_prepared_for(mm, 2);
		if (error)
			return fail(r, error);
	}
}

static int grow_area(struct mm *mm, struct mm__budget *budget, uint64_t start, uint64_t end,
		     const struct mm__area_kind *kind)
{
	if (mm__areas_reserve(mm, budget, 0, 1, 0))
		return ENOMEM;
	mm__areas_put(mm, budget, start, end, kind);
	mm__areas_release(mm, budget);
	return 0;
}

/* The budget has what is left for the area at the target to be settled. */
static int move_area(struct mm *mm, struct state *state, const struct request *r, uint64_t target,
		     struct mm__area_kind kind)
{
	if (mm__areas_reserve(mm, &state->budget, 2, 1, 1))
		return ENOMEM;
	if (kind.inode)
		kind.offset += r->old - target;
	mm__areas_cut(mm, &state->budget, &state->replaced);
	if (r->old_length)
		mm__areas_cut(mm, &state->budget, &state->old);
	mm__areas_put_changing(mm, &state->budget, target, target + r->new_length, &kind);
	return 0;
}

/* With the mm lock held. 0 or ENOMEM. */
static int change_areas(struct mm *mm, struct state *state, const struct request *r,
			const struct plan *plan)
{
	struct mm__area_kind kind;
	struct mm__mapping m;

	if (plan->kind == STAY)
		return 0;
	if (plan->kind == SHRINK)
		return mm__areas_remove(mm, &state->old);
	mm__area_tree_at(&mm->areas, r->old, &m);
	kind = mm__kind_of(m.area);
	if (plan->kind == GROW)
		return grow_area(mm, &state->budget, m.end, r->old + r->new_length, &kind);
	return move_area(mm, state, r, plan->target, kind);
}

static void change_pages(struct mm__cpu *cpu, struct state *state, const struct request *r,
			 const struct plan *plan)
{
	struct mm *mm = cpu->mm;
	uint64_t kept = mm__min(r->old_length, r->new_length);

	if (r->old_length > kept)
		mm__pages_zap(mm, cpu, r->old + kept, r->old + r->old_length);
	if (plan->kind != MOVE)
		return;
	mm__pages_zap(mm, cpu, plan->target, plan->target + r->new_length);
	mm__pages_move(mm, cpu, r->old, plan->target, kept);
	mm__lock(mm);
	mm__areas_settle(mm, &state->budget, plan->target);
	mm__areas_release(mm, &state->budget);
	mm__unlock(mm, cpu);
}

static int remap(struct mm__cpu *cpu, const struct request *r, uint64_t *target)
{
	struct state state = { .held = false };
	struct plan plan = settle(cpu, &state, r);
	int error = plan.kind == FAIL ? plan.error : change_areas(cpu->mm, &state, r, &plan);
	struct mm__garbage *removed = mm__unlock_removed(cpu->mm, cpu);

	if (error)
		keep_areas(&state);
	else
		change_pages(cpu, &state, r, &plan);
	mm__areas_free(removed);
	mm__pages_unpin(cpu->mm, cpu, &state.pins);
	if (state.held)
		mm__release(cpu, &state.hold);
	*target = plan.target;
	return error;
}

/* The error of a call for what lies beyond all addresses. */
static int beyond(struct mm__cpu *cpu, const struct request *r)
{
	int error = EFAULT;

	mm__lock(cpu->mm);
	if (r->flags & MM_MREMAP_FIXED && !room_for_fixed(cpu->mm))
		error = ENOMEM;
	mm__unlock(cpu->mm, cpu);
	return error;
}

int mm_mremap(struct mm *mm, uint64_t old_addr, uint64_t old_length, uint64_t new_length, int flags,
	      uint64_t new_addr, uint64_t *result)
{
	struct request request = { old_addr, mm__page_align(old_length), mm__page_align(new_length),
				   new_addr, flags };
	struct mm__cpu *cpu = mm__this_cpu(mm);
	uint64_t target;
	int error = cpu ? check_request(&request) : ENOMEM;

	if (error)
		return error;
	if (old_addr >= MM_ADDR_MAX)
		return beyond(cpu, &request);
	error = remap(cpu, &request, &target);
	if (error)
		return error;
	/* What is added to a locked area is made present; if it cannot be, it will fail when used. */
	if (request.new_length > request.old_length)
		(void)mm__populate_locked(cpu, target + request.old_length,
					  target + request.new_length);
	*result = target;
	return 0;
}
