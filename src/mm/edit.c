/* SPDX-License-Identifier: MIT */
/*
 * Edits of areas: with the lock of the one leaf that they are about, or with the mm lock. What was replaced
 * is freed when the locks are dropped; then what the edit has left to be done in the tree is done.
 */
#include "internal.h"

#include <errno.h>

/* A cut changes the areas at both ends, and erases the rest, or leaves one area in two parts. */
#define CUT_CHANGES 3u
#define CUT_AREAS   2u
/* What is there goes, with one neighbour; leaves become one; and the other neighbour grows. */
#define PUT_CHANGES 3u

static struct mm__area_needs needs_of(unsigned int cuts, unsigned int puts)
{
	return (struct mm__area_needs){ .now = CUT_CHANGES * cuts + PUT_CHANGES * puts };
}

static void lock_prepared(struct mm *mm, const struct mm__area_needs *needs)
{
	struct mm__area_spares nodes;

	mm__area_tree_preload(&mm->areas, needs, &nodes);
	mm__lock(mm);
	mm__area_tree_stock(&mm->areas, &nodes);
}

void mm__lock_prepared(struct mm__cpu *cpu, unsigned int cuts, unsigned int puts)
{
	struct mm__area_needs needs = needs_of(cuts, puts);

	mm__room_claim(cpu);
	lock_prepared(cpu->mm, &needs);
}

void mm__unlock_prepared(struct mm__cpu *cpu)
{
	mm__unlock(cpu->mm, cpu);
	mm__room_give_back(cpu);
}

static bool begin_in_place(struct mm__edit *edit, bool unmaps)
{
	mm__rcu_read_lock();
	if (mm__area_edit_in_place(&edit->tree, &edit->cpu->mm->areas, edit->start, edit->end,
				   edit->cpu->number, unmaps))
		return true;
	mm__rcu_read_unlock();
	return false;
}

/* With the mm lock: the edit can be in place once the tree lets it. */
static bool widen(struct mm__edit *edit)
{
	mm__area_tree_widen(&edit->cpu->mm->areas, edit->start, edit->end);
	return begin_in_place(edit, true);
}

static bool lock_and_widen(struct mm__edit *edit)
{
	struct mm *mm = edit->cpu->mm;
	bool begun;

	mm__lock(mm);
	begun = widen(edit);
	mm__unlock(mm, edit->cpu);
	return begun;
}

static void begin_with_lock(struct mm__edit *edit)
{
	edit->locked = true;
	mm__area_edit_locked(&edit->tree, &edit->cpu->mm->areas, &edit->nodes, edit->start,
			     edit->end);
}

static void lock_and_begin(struct mm__edit *edit)
{
	mm__lock_prepared(edit->cpu, 1, 1);
	begin_with_lock(edit);
}

static void init(struct mm__edit *edit, struct mm__cpu *cpu, uint64_t start, uint64_t end)
{
	*edit = (struct mm__edit){ .cpu = cpu, .start = start, .end = end };
}

bool mm__edit_in_place(struct mm__edit *edit, struct mm__cpu *cpu, uint64_t start, uint64_t end,
		       bool unmaps)
{
	init(edit, cpu, start, end);
	mm__room_claim(cpu);
	if (begin_in_place(edit, unmaps))
		return true;
	mm__room_give_back(cpu);
	return false;
}

void mm__edit_locked(struct mm__edit *edit, struct mm__cpu *cpu, uint64_t start, uint64_t end)
{
	init(edit, cpu, start, end);
	lock_and_begin(edit);
}

void mm__edit_begin(struct mm__edit *edit, struct mm__cpu *cpu, uint64_t start, uint64_t end,
		    bool unmaps)
{
	init(edit, cpu, start, end);
	mm__room_claim(cpu);
	if (!begin_in_place(edit, unmaps) && !(edit->tree.widens && lock_and_widen(edit)))
		lock_and_begin(edit);
}

void mm__edit_in_mm_lock(struct mm__edit *edit, struct mm__cpu *cpu, uint64_t start, uint64_t end,
			 bool unmaps)
{
	init(edit, cpu, start, end);
	if (begin_in_place(edit, unmaps) || (edit->tree.widens && widen(edit)))
		mm__unlock(cpu->mm, cpu);
	else
		begin_with_lock(edit);
}

void mm__edit_with_mm_lock(struct mm__edit *edit, struct mm__cpu *cpu, uint64_t start, uint64_t end)
{
	init(edit, cpu, start, end);
	begin_with_lock(edit);
}

void mm__edit_pause(struct mm__edit *edit)
{
	struct mm__cpu *cpu = edit->cpu;

	mm__area_edit_end(&edit->tree);
	mm__unlock(cpu->mm, cpu);
	mm__lock(cpu->mm);
	begin_with_lock(edit);
}

int mm__edit_reserve(struct mm__edit *edit, unsigned int cuts, unsigned int puts)
{
	struct mm__area_needs needs = needs_of(cuts, puts);

	if (!mm__areas_stock(CUT_AREAS * cuts + puts))
		return ENOMEM;
	return edit->tree.leaf ? 0
			       : mm__area_tree_reserve(&edit->cpu->mm->areas, &edit->nodes, &needs);
}

/* The first area of a range, or the only one, and later the last: with a part that changes, and one or two
 * that do not. */
#define FIRST_CHANGES 4u
#define LAST_CHANGES  3u

static int reserve_for_ends(struct mm *mm, struct mm__area_budget *nodes, unsigned int now)
{
	/* Each of the threads may have divided an area that is to be one again, or a leaf. */
	uint64_t more = 8 * (uint64_t)MM__CPU_MANY;
	uint64_t most = mm->attr.max_areas;
	struct mm__area_needs needs = { now, LAST_CHANGES + PUT_CHANGES,
					most > UINT64_MAX - more ? UINT64_MAX : most + more };

	return mm__area_tree_reserve(&mm->areas, nodes, &needs);
}

int mm__edit_reserve_ends(struct mm__edit *edit, struct mm__area_budget *nodes)
{
	return reserve_for_ends(edit->cpu->mm, nodes, FIRST_CHANGES);
}

/*
 * The end
 */

static struct mm__garbage *unlock(struct mm__edit *edit)
{
	struct mm *mm = edit->cpu->mm;
	struct mm__garbage *nodes;

	mm__area_tree_release(&mm->areas, &edit->nodes);
	nodes = mm__area_tree_take_retired(&mm->areas);
	mm__unlock(mm, edit->cpu);
	return nodes;
}

void mm__edit_end_refilled(struct mm__edit *edit, struct mm__area_budget *nodes)
{
	struct mm__cpu *cpu = edit->cpu;
	struct mm *mm = cpu->mm;
	struct mm__garbage *retired;
	int error;

	mm__area_edit_end(&edit->tree);
	retired = unlock(edit);
	mm__room_give_back(cpu);
	mm__rcu_wait();
	mm__lock(mm);
	mm__area_tree_recycle(&mm->areas, retired);
	mm__area_tree_release(&mm->areas, nodes);
	error = reserve_for_ends(mm, nodes, 0);
	mm__check(!error, "merges replaced less than they used");
	mm__unlock(mm, cpu);
	mm__areas_free(edit->dead);
}

/* It can wait for another time, where there is no memory. */
static void tidy(struct mm__cpu *cpu, const struct mm__area_edit *tree)
{
	struct mm__area_needs needs = { .now = MM__TIDY_CHANGES };
	struct mm__edit edit;
	struct mm__garbage *nodes;

	init(&edit, cpu, tree->tidy, tree->tidy + 1);
	lock_prepared(cpu->mm, &needs);
	begin_with_lock(&edit);
	if (!mm__area_tree_reserve(&cpu->mm->areas, &edit.nodes, &needs))
		mm__area_tree_tidy(&edit.tree, tree->tidy, tree->divides, mmrange__now());
	mm__area_edit_end(&edit.tree);
	nodes = unlock(&edit);
	mm__rcu_free(nodes);
}

void mm__divide_leaf(struct mm__cpu *cpu)
{
	struct mm__area_edit tree = { .divides = true };

	/* If it is divided, the thread finds another leaf. */
	cpu->look.strain = 0;
	cpu->look.passed += cpu->look.passed < 16;
	mm__rcu_read_lock();
	tree.tidy = mm__area_tree_key_beside(&cpu->mm->areas, cpu->look.addr, cpu->number);
	mm__rcu_read_unlock();
	if (tree.tidy)
		tidy(cpu, &tree);
}

static void tidy_after(struct mm__edit *edit)
{
	if (edit->tree.tidy)
		tidy(edit->cpu, &edit->tree);
}

struct mm__garbage *mm__edit_end_removed(struct mm__edit *edit)
{
	struct mm__garbage *nodes = NULL;
	bool in_place = edit->tree.leaf;

	mm__area_edit_end(&edit->tree);
	if (edit->locked)
		nodes = unlock(edit);
	if (in_place)
		mm__rcu_read_unlock();
	mm__room_give_back(edit->cpu);
	mm__rcu_free(nodes);
	tidy_after(edit);
	return edit->dead;
}

void mm__edit_end(struct mm__edit *edit)
{
	mm__areas_free(mm__edit_end_removed(edit));
}

/*
 * Moves
 */

/* So often another thread may have a leaf locked, or the bounds for gaps be too narrow. */
#define MOVE_TRIES 8u

/* Ends both, if they have begun, and nothing else. */
static void end_both(struct mm__edit_move *move)
{
	struct mm__edit *edits[2] = { &move->low, &move->high };

	for (unsigned int i = 0; i < 2; i++)
		if (edits[i]->tree.leaf)
			mm__area_edit_end(&edits[i]->tree);
	for (unsigned int i = 0; i < 2; i++)
		if (edits[i]->tree.leaf)
			mm__rcu_read_unlock();
}

static bool begin_second(struct mm__edit *edit, const struct mm__edit *first, bool unmaps)
{
	mm__rcu_read_lock();
	if (mm__area_edit_second(&edit->tree, &first->tree, edit->start, edit->end,
				 edit->cpu->number, unmaps))
		return true;
	mm__rcu_read_unlock();
	return false;
}

static bool begin_both(struct mm__edit_move *move, bool up)
{
	struct mm__edit *low = &move->low;
	struct mm__edit *high = &move->high;

	move->source = low;
	move->target = low;
	high->tree = (struct mm__area_edit){ .leaf = NULL };
	if (!begin_in_place(low, up))
		return false;
	if (mm__area_edit_includes(&low->tree, high->start, high->end, !up))
		return true;
	if (!low->tree.widens && begin_second(high, low, !up)) {
		move->source = up ? low : high;
		move->target = up ? high : low;
		return true;
	}
	end_both(move);
	low->tree.leaf = NULL;
	return false;
}

/* Whether a failed try is worth another one. No lock but ranges is held. */
static bool may_try_again(const struct mm__edit_move *move, bool up)
{
	const struct mm__edit *source = up ? &move->low : &move->high;
	struct mm__cpu *cpu = source->cpu;

	if (move->low.tree.widens || move->high.tree.widens) {
		mm__lock(cpu->mm);
		mm__area_tree_widen(&cpu->mm->areas, source->start, source->end);
		mm__unlock(cpu->mm, cpu);
		return true;
	}
	mmrange__relax();
	return move->high.tree.busy;
}

bool mm__edit_move_in_place(struct mm__edit_move *move, struct mm__cpu *cpu, uint64_t from,
			    uint64_t from_end, uint64_t to, uint64_t to_end)
{
	bool up = from < to;

	init(&move->low, cpu, up ? from : to, up ? from_end : to_end);
	init(&move->high, cpu, up ? to : from, up ? to_end : from_end);
	mm__room_claim(cpu);
	for (unsigned int tries = MOVE_TRIES; tries; tries--) {
		if (begin_both(move, up))
			return true;
		if (!may_try_again(move, up))
			break;
	}
	mm__room_give_back(cpu);
	tidy_after(&move->low);
	tidy_after(&move->high);
	return false;
}

void mm__edit_end_move(struct mm__edit_move *move)
{
	end_both(move);
	mm__room_give_back(move->low.cpu);
	tidy_after(&move->low);
	tidy_after(&move->high);
}
