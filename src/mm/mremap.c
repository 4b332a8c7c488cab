/* SPDX-License-Identifier: MIT */
/*
 * mm_mremap(). Results and errors, and their order, are those of Linux's mm/mremap.c, except for
 * the move of more than one VMA at once, which is new there.
 *
 * The ranges that the thread must hold depend on the work, and the work depends on the VMAs. So the
 * thread makes a plan under the VMA tree lock, holds the ranges of the plan, and makes the plan
 * again. If the thread already holds the ranges of the new plan, it carries out the plan. Otherwise
 * it starts anew.
 *
 * If nothing moves, or the caller has chosen the target, the ranges are known. The thread tries
 * that case first, in place.
 *
 * A move is atomic for accesses: first no thread can access the old place, then the pages appear at
 * the new place. An access at either place in between faults and waits. No VMA is at the old place
 * any more, and the VMA at the new place has an odd count until all pages are there.
 */
#include "attach.h"
#include "hold.h"
#include "mlock.h"
#include "page.h"
#include "pages.h"
#include "room.h"
#include "stack.h"
#include "vma_memory.h"
#include "vmas.h"

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
	int error;       /* for FAIL */
	uint64_t target; /* for MOVE the target, else the old address */
	/* The ranges to hold: [start, end), and for MOVE [target, target + new length). */
	uint64_t start;
	uint64_t end;
};

/* As in Linux: the sum may wrap, and an empty old range overlaps a range that contains it. */
static bool ranges_overlap(const struct request *r)
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
	    r->new_addr > MM_ADDR_MAX - r->new_length || ranges_overlap(r))
		return EINVAL;
	return 0;
}

/*
 * The thread makes plans in an edit with the VMA tree lock.
 */

static struct plan fail_plan(const struct request *r, int error)
{
	return (struct plan){ FAIL, error, r->old, r->old, r->old + MM_PAGE_SIZE };
}

static struct plan do_here(const struct request *r, enum kind kind, uint64_t length)
{
	return (struct plan){ kind, 0, r->old, r->old, r->old + length };
}

static struct plan move_mapping(const struct request *r, uint64_t target)
{
	/* If old_length is 0, the memory stays where it is, and is visible at the target, too. */
	uint64_t length = r->old_length ? r->old_length : MM_PAGE_SIZE;

	return (struct plan){ MOVE, 0, target, r->old, r->old + length };
}

static struct plan plan_shrink(const struct mm__edit *edit, const struct request *r)
{
	uint64_t adds;

	if (r->old_length == r->new_length)
		return do_here(r, STAY, MM_PAGE_SIZE);
	if (r->old_length > MM_ADDR_MAX - r->old)
		return fail_plan(r, EINVAL);
	adds = mm__cut_adds(edit, r->old + r->new_length, r->old + r->old_length);
	if (adds && !mm__room_for_vmas(edit->thread, adds))
		return fail_plan(r, ENOMEM);
	return do_here(r, SHRINK, r->old_length);
}

static bool can_grow_here(const struct mm__edit *edit, const struct request *r,
			  const struct mm__mapping *m)
{
	return r->old_length == m->end - r->old && r->new_length <= MM_ADDR_MAX - r->old &&
	       mm__range_free(edit, m->end, r->old + r->new_length);
}

/* Only shared memory can be visible at two places. */
static bool may_move(const struct request *r, const struct mm__mapping *m)
{
	return r->old_length || mm__vma_flags(m->vma) & MM_MAP_SHARED;
}

static struct plan plan_grow(const struct mm__edit *edit, const struct request *r,
			     const struct mm__mapping *m)
{
	uint64_t target;

	if (!may_move(r, m))
		return fail_plan(r, EINVAL);
	if (r->old_length > m->end - r->old)
		return fail_plan(r, EFAULT);
	if (can_grow_here(edit, r, m))
		return do_here(r, GROW, r->new_length);
	/*
	 * Linux requires that much room for any move, and two more for a move that replaces a
	 * mapping.
	 */
	if (!(r->flags & MM_MREMAP_MAYMOVE) || !mm__room_for_vmas(edit->thread, 4) ||
	    !mm__find_place(edit->thread->mm, r->new_length, &target))
		return fail_plan(r, ENOMEM);
	return move_mapping(r, target);
}

/* Linux requires room for so many VMAs before it looks for the mapping to move. */
#define ROOM_FOR_FIXED 6u

static struct plan plan_fixed(const struct mm__edit *edit, const struct request *r)
{
	uint64_t moved = mm__min(r->old_length, r->new_length);
	struct mm__mapping m;

	if (!mm__room_for_vmas(edit->thread, ROOM_FOR_FIXED))
		return fail_plan(r, ENOMEM);
	if (!mm__vma_edit_at(&edit->tree, r->old, &m))
		return fail_plan(r, EFAULT);
	if (!may_move(r, &m))
		return fail_plan(r, EINVAL);
	/* If the move takes no pages, the target may begin there, and is unmapped first. */
	if (r->new_addr == r->old || moved > m.end - r->old)
		return fail_plan(r, EFAULT);
	if (r->old_length > MM_ADDR_MAX - r->old)
		return fail_plan(r, EINVAL);
	if (r->new_addr < MM_ADDR_MIN)
		return fail_plan(r, EPERM);
	return move_mapping(r, r->new_addr);
}

static struct plan make_plan(const struct mm__edit *edit, const struct request *r)
{
	struct mm__mapping m;

	if (r->flags & MM_MREMAP_FIXED)
		return plan_fixed(edit, r);
	if (!mm__vma_edit_at(&edit->tree, r->old, &m))
		return fail_plan(r, EFAULT);
	if (r->new_length <= r->old_length)
		return plan_shrink(edit, r);
	return plan_grow(edit, r, &m);
}

/*
 * Carrying out plans
 */

static bool plan_held(const struct mm__hold *hold, const struct request *r, const struct plan *plan)
{
	return mm__hold_covers(hold, plan->start, plan->end) &&
	       (plan->kind != MOVE ||
		mm__hold_covers(hold, plan->target, plan->target + r->new_length));
}

static int hold_plan(struct mm__thread *thread, struct mm__hold *hold, const struct request *r,
		     const struct plan *plan)
{
	uint64_t length = plan->kind == MOVE ? r->new_length : 0;

	return mm__hold_write_two(thread, hold, plan->start, plan->end, plan->target,
				  plan->target + length);
}

/* What a plan needs: its ranges, its pins, its cuts and its edit. */
struct state {
	struct mm__hold hold;
	bool held;
	struct mm__pins pins;
	uint64_t prepared; /* the target of the pins; 0: none */
	/*
	 * The ranges to cut out at the old place and at the target, for the plan whose ranges are
	 * held.
	 */
	struct mm__cut old;
	struct mm__cut replaced;
	struct mm__edit edit;
};

static int prepare_plan(struct mm__thread *thread, struct state *state, const struct request *r,
			const struct plan *plan)
{
	if (plan->kind != MOVE || plan->target == state->prepared)
		return 0;
	state->prepared = plan->target;
	return mm__pages_prepare_move(thread->mm, thread, &state->pins, r->old, plan->target,
				      mm__min(r->old_length, r->new_length));
}

/* While the ranges are held: keeps the VMAs that were marked. */
static void keep_vmas(struct state *state)
{
	mm__vmas_keep(&state->old);
	mm__vmas_keep(&state->replaced);
}

/* In the edit: marks some of the VMAs that the plan cuts out. Returns true if all are marked. */
static bool mark_plan(struct state *state, const struct request *r, const struct plan *plan)
{
	uint64_t kept = plan->kind == SHRINK ? r->new_length : 0;

	if (plan->kind != SHRINK && plan->kind != MOVE)
		return true;
	if (!state->old.end)
		state->old = mm__cut_of(r->old + kept, r->old + r->old_length);
	if (plan->kind == MOVE && state->replaced.start != plan->target)
		state->replaced = mm__cut_of(plan->target, plan->target + r->new_length);
	return mm__vmas_mark(&state->edit, &state->old) &&
	       (plan->kind == SHRINK || mm__vmas_mark(&state->edit, &state->replaced));
}

/* Holds the ranges of the plan, instead of those held so far. */
static int hold_again(struct mm__thread *thread, struct state *state, const struct request *r,
		      const struct plan *plan)
{
	int error;

	if (state->held) {
		keep_vmas(state);
		mm__release(thread, &state->hold);
	}
	state->old = state->replaced = mm__cut_of(0, 0);
	error = hold_plan(thread, &state->hold, r, plan);
	state->held = !error;
	state->prepared = 0;
	return error;
}

static void begin_edit(struct mm__thread *thread, struct state *state, const struct request *r)
{
	mm__edit_with_tree_lock(&state->edit, thread, r->old, r->old + MM_PAGE_SIZE);
}

/* Adds the ranges of the plan, which are held, to the edit. */
static void edit_plan(struct state *state, const struct request *r, const struct plan *plan)
{
	mm__edit_also(&state->edit, plan->start, plan->end);
	if (plan->kind == MOVE)
		mm__edit_also(&state->edit, plan->target, plan->target + r->new_length);
}

/*
 * Makes a plan, and holds and prepares all that it needs. Returns in an edit; after an error, with
 * a plan that fails. VMAs that were marked for one plan stay marked for the next if it needs no
 * other ranges. The plan then has the same kind and the same target, unless it fails.
 */
static struct plan hold_and_plan(struct mm__thread *thread, struct state *state,
				 const struct request *r)
{
	mm__tree_lock_prepared(thread, 2, 1);
	for (;;) {
		struct plan plan;
		bool held;
		bool prepared;
		int error = 0;

		begin_edit(thread, state, r);
		plan = make_plan(&state->edit, r);
		held = state->held && plan_held(&state->hold, r, &plan);
		prepared = held && (plan.kind != MOVE || plan.target == state->prepared);
		if (prepared)
			edit_plan(state, r, &plan);
		if (prepared && mark_plan(state, r, &plan))
			return plan;
		mm__edit_end(&state->edit);
		if (!held)
			error = hold_again(thread, state, r, &plan);
		if (!error && !prepared)
			error = prepare_plan(thread, state, r, &plan);
		mm__tree_lock_prepared(thread, 2, 1);
		if (error) {
			begin_edit(thread, state, r);
			return fail_plan(r, error);
		}
	}
}

static int grow_vma(struct mm__edit *edit, uint64_t start, uint64_t end,
		    const struct mm__vma_kind *kind)
{
	if (mm__edit_reserve(edit, 0, 1))
		return ENOMEM;
	mm__vmas_put(edit, start, end, kind);
	return 0;
}

/* In an edit of each of the two places, or in one edit of both. */
static int move_vma(struct mm__edit *from, struct mm__edit *to, struct state *state,
		    const struct request *r, uint64_t target)
{
	struct mm__vma_kind kind;
	struct mm__mapping m;

	mm__vma_edit_at(&from->tree, r->old, &m);
	kind = mm__kind_of(m.vma);
	if (mm__edit_reserve(from, 2, 1))
		return ENOMEM;
	if (kind.inode)
		kind.offset += r->old - target;
	mm__vmas_cut(to, &state->replaced);
	if (r->old_length)
		mm__vmas_cut(from, &state->old);
	mm__vmas_put_changing(to, target, target + r->new_length, &kind);
	return 0;
}

/* In the edit. Returns 0 or ENOMEM. */
static int change_vmas(struct state *state, const struct request *r, const struct plan *plan)
{
	struct mm__vma_kind kind;
	struct mm__mapping m;

	if (plan->kind == STAY)
		return 0;
	if (plan->kind == SHRINK)
		return mm__vmas_remove(&state->edit, &state->old);
	if (plan->kind == MOVE)
		return move_vma(&state->edit, &state->edit, state, r, plan->target);
	mm__vma_edit_at(&state->edit.tree, r->old, &m);
	kind = mm__kind_of(m.vma);
	return grow_vma(&state->edit, m.end, r->old + r->new_length, &kind);
}

static void change_pages(struct mm__thread *thread, const struct request *r,
			 const struct plan *plan)
{
	struct mm *mm = thread->mm;
	uint64_t kept = mm__min(r->old_length, r->new_length);

	if (r->old_length > kept)
		mm__pages_zap(mm, thread, r->old + kept, r->old + r->old_length);
	if (plan->kind != MOVE)
		return;
	mm__pages_zap(mm, thread, plan->target, plan->target + r->new_length);
	mm__pages_move(mm, thread, r->old, plan->target, kept);
	mm__vmas_merge_changed(thread, plan->target, plan->target + r->new_length, NULL);
}

static int remap_range(struct mm__thread *thread, const struct request *r, uint64_t *target)
{
	struct state state = { .held = false };
	struct plan plan = hold_and_plan(thread, &state, r);
	int error = plan.kind == FAIL ? plan.error : change_vmas(&state, r, &plan);
	struct mm__garbage *removed = mm__edit_end_removed(&state.edit);

	if (error)
		keep_vmas(&state);
	else
		change_pages(thread, r, &plan);
	mm__vmas_free(removed);
	mm__pages_unpin(thread->mm, thread, &state.pins);
	if (state.held)
		mm__release(thread, &state.hold);
	*target = plan.target;
	return error;
}

/*
 * If nothing has to be moved, the range is known, and the caller holds it: changes the VMA there.
 * Returns false if it has to be moved, or on an error. The caller then makes a plan, which finds
 * the error.
 */
static bool change_here(struct mm__edit *edit, const struct request *r, struct mm__cut *cut,
			int *error)
{
	struct mm__vma_kind kind;
	struct mm__mapping m;

	if (!mm__vma_edit_at(&edit->tree, r->old, &m))
		return false;
	if (r->new_length < r->old_length) {
		if (plan_shrink(edit, r).kind != SHRINK)
			return false;
		mm__vmas_mark_all(edit, cut);
		*error = mm__vmas_remove(edit, cut);
		return true;
	}
	if (r->old_length > m.end - r->old || !can_grow_here(edit, r, &m))
		return false;
	kind = mm__kind_of(m.vma);
	*error = grow_vma(edit, m.end, r->old + r->new_length, &kind);
	return true;
}

static bool remap_here(struct mm__thread *thread, const struct request *r, int *error)
{
	uint64_t end = r->old + mm__max(r->old_length, r->new_length);
	bool shrinks = r->new_length < r->old_length;
	struct mm__cut cut = mm__cut_of(r->old + r->new_length, end);
	struct mm__garbage *removed;
	struct mm__edit edit;
	struct mm__hold hold;
	bool done;

	if (r->flags & MM_MREMAP_FIXED || !r->old_length || r->old_length == r->new_length ||
	    end > MM_ADDR_MAX || end < r->old || mm__hold_write(thread, &hold, r->old, end))
		return false;
	mm__edit_begin(&edit, thread, r->old, end, shrinks);
	done = change_here(&edit, r, &cut, error);
	removed = mm__edit_end_removed(&edit);
	if (done && shrinks && !*error)
		mm__pages_zap(thread->mm, thread, cut.start, end);
	mm__vmas_free(removed);
	mm__release(thread, &hold);
	return done;
}

/*
 * A move to the caller's place, in place. Returns false as change_here() does. If one border node
 * has both places, it must have room for the rests of two VMAs, and for the new one. If there are
 * two, each has room for its part.
 */
static bool move_vmas(struct mm__thread *thread, struct state *state, const struct request *r,
		      struct mm__edit_move *move)
{
	uint64_t old_end = r->old + r->old_length;
	uint64_t target_end = r->new_addr + r->new_length;
	struct mm__edit *from, *to;
	bool moved;

	if (!mm__edit_move_in_place(move, thread, r->old, old_end, r->new_addr, target_end))
		return false;
	from = move->source;
	to = move->target;
	moved = plan_fixed(from, r).kind == MOVE &&
		(from != to || mm__cut_adds(from, r->old, old_end) +
					       mm__cut_adds(to, r->new_addr, target_end) + 1 <=
				       mm__vma_edit_room(&from->tree));
	if (moved) {
		mm__vmas_mark_all(from, &state->old);
		mm__vmas_mark_all(to, &state->replaced);
		moved = !move_vma(from, to, state, r, r->new_addr);
	}
	mm__edit_end_move(move);
	if (!moved)
		keep_vmas(state);
	return moved;
}

/* With the ranges held: whether a VMA can move there, before the call makes page tables. */
static bool can_be_moved(struct mm__thread *thread, const struct request *r)
{
	struct mm__mapping m;
	bool found;

	mm__rcu_read_lock();
	found = mm__vma_tree_at(&thread->mm->vmas, r->old, &m) &&
		mm__min(r->old_length, r->new_length) <= m.end - r->old;
	mm__rcu_read_unlock();
	return found && r->new_addr >= MM_ADDR_MIN;
}

static bool remap_to(struct mm__thread *thread, const struct request *r)
{
	struct plan plan = move_mapping(r, r->new_addr);
	struct state state = { .old = mm__cut_of(r->old, r->old + r->old_length),
			       .replaced = mm__cut_of(r->new_addr, r->new_addr + r->new_length) };
	struct mm__edit_move edits;
	bool moved;

	if (!(r->flags & MM_MREMAP_FIXED) || !r->old_length ||
	    r->old_length > MM_ADDR_MAX - r->old || hold_plan(thread, &state.hold, r, &plan))
		return false;
	moved = can_be_moved(thread, r) && !prepare_plan(thread, &state, r, &plan) &&
		move_vmas(thread, &state, r, &edits);
	if (moved) {
		change_pages(thread, r, &plan);
		mm__vmas_free(edits.low.dead);
		mm__vmas_free(edits.high.dead);
	}
	mm__pages_unpin(thread->mm, thread, &state.pins);
	mm__release(thread, &state.hold);
	return moved;
}

/* The error of a call for a place beyond all addresses. */
static int beyond(struct mm__thread *thread, const struct request *r)
{
	return r->flags & MM_MREMAP_FIXED && !mm__room_now(thread, ROOM_FOR_FIXED) ? ENOMEM
										   : EFAULT;
}

int mm_mremap(struct mm *mm, uint64_t old_addr, uint64_t old_length, uint64_t new_length, int flags,
	      uint64_t new_addr, uint64_t *result)
{
	struct request request = { old_addr, mm__page_align(old_length), mm__page_align(new_length),
				   new_addr, flags };
	struct mm__thread *thread = mm__this_thread(mm);
	uint64_t target;
	int error = thread ? check_request(&request) : ENOMEM;

	if (error)
		return error;
	if (old_addr >= MM_ADDR_MAX)
		return beyond(thread, &request);
	target = old_addr;
	if (remap_to(thread, &request))
		target = request.new_addr;
	else if (!remap_here(thread, &request, &error))
		error = remap_range(thread, &request, &target);
	if (error)
		return error;
	/* Makes the pages added to a locked VMA present. If it cannot, a later access fails. */
	if (request.new_length > request.old_length)
		(void)mm__populate_locked(thread, target + request.old_length,
					  target + request.new_length);
	*result = target;
	return 0;
}
