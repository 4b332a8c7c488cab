/* SPDX-License-Identifier: MIT */
/*
 * Edits of VMAs: with the lock of the one border node that has them, or with the VMA tree lock.
 * After an edit has dropped its locks, the thread frees the nodes and VMAs that the edit replaced.
 * Then it does the work that the edit has left to be done in the tree.
 */
#include "edit.h"

#include "room.h"
#include "tree_lock.h"
#include "vma_memory.h"

#include <errno.h>

/* A cut changes the VMAs at both ends and erases the rest, or leaves one VMA in two parts. */
#define CUT_CHANGES 3u
#define CUT_VMAS    2u
/*
 * A put erases the old VMAs and one neighbour, makes the range part of one border node, and grows
 * the other.
 */
#define PUT_CHANGES 3u

static struct mm__vma_needs needs_of(unsigned int cuts, unsigned int puts)
{
	return (struct mm__vma_needs){ .now = CUT_CHANGES * cuts + PUT_CHANGES * puts };
}

static void lock_prepared(struct mm *mm, const struct mm__vma_needs *needs)
{
	struct mm__vma_spares nodes;

	mm__vma_tree_preload(&mm->vmas, needs, &nodes);
	mm__tree_lock(mm);
	mm__vma_tree_stock(&mm->vmas, &nodes);
}

void mm__tree_lock_prepared(struct mm__thread *thread, unsigned int cuts, unsigned int puts)
{
	struct mm__vma_needs needs = needs_of(cuts, puts);

	mm__room_claim(thread);
	lock_prepared(thread->mm, &needs);
}

void mm__tree_unlock_prepared(struct mm__thread *thread)
{
	mm__tree_unlock(thread->mm, thread);
	mm__room_give_back(thread);
}

/* An attempt has replaced *tree. Keeps the work that an attempt before has left to be done. */
static void keep_work(struct mm__vma_edit *tree, const struct mm__vma_edit *before)
{
	if (!before->tidy)
		return;
	tree->tidy = before->tidy;
	tree->divides = before->divides;
}

static bool begin_in_place(struct mm__edit *edit, bool unmaps)
{
	struct mm__vma_edit before = edit->tree;
	bool begun;

	mm__rcu_read_lock();
	begun = mm__vma_edit_in_place(&edit->tree, &edit->thread->mm->vmas, edit->start, edit->end,
				      edit->thread->number, unmaps);
	keep_work(&edit->tree, &before);
	if (!begun)
		mm__rcu_read_unlock();
	return begun;
}

/* With the VMA tree lock: widens the bounds that forbid the edit in place, and begins it. */
static bool widen_bounds(struct mm__edit *edit)
{
	mm__vma_tree_widen(&edit->thread->mm->vmas, edit->start, edit->end);
	return begin_in_place(edit, true);
}

static bool lock_and_widen(struct mm__edit *edit)
{
	struct mm *mm = edit->thread->mm;
	bool begun;

	mm__tree_lock(mm);
	begun = widen_bounds(edit);
	mm__tree_unlock(mm, edit->thread);
	return begun;
}

static void begin_with_lock(struct mm__edit *edit)
{
	edit->locked = true;
	mm__vma_edit_locked(&edit->tree, &edit->thread->mm->vmas, &edit->nodes, edit->start,
			    edit->end);
}

static void lock_and_begin(struct mm__edit *edit)
{
	mm__tree_lock_prepared(edit->thread, 1, 1);
	begin_with_lock(edit);
}

static void init_edit(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
		      uint64_t end)
{
	*edit = (struct mm__edit){ .thread = thread, .start = start, .end = end };
}

static struct mm__garbage *unlock_tree(struct mm__edit *edit)
{
	struct mm *mm = edit->thread->mm;
	struct mm__garbage *nodes;

	mm__vma_tree_release(&mm->vmas, &edit->nodes);
	nodes = mm__vma_tree_take_retired(&mm->vmas);
	mm__tree_unlock(mm, edit->thread);
	return nodes;
}

/* If there is no memory, a later edit tidies. */
static void tidy_tree(struct mm__thread *thread, const struct mm__vma_edit *tree)
{
	struct mm__vma_needs needs = { .now = MM__TIDY_CHANGES };
	struct mm__edit edit;
	struct mm__garbage *nodes;

	init_edit(&edit, thread, tree->tidy, tree->tidy + 1);
	lock_prepared(thread->mm, &needs);
	begin_with_lock(&edit);
	if (!mm__vma_tree_reserve(&thread->mm->vmas, &edit.nodes, &needs))
		mm__vma_tree_tidy(&edit.tree, tree->tidy, tree->divides, mmrange__now());
	mm__vma_edit_end(&edit.tree);
	nodes = unlock_tree(&edit);
	mm__rcu_free(nodes);
}

static void tidy_after(struct mm__edit *edit)
{
	if (edit->tree.tidy)
		tidy_tree(edit->thread, &edit->tree);
}

bool mm__edit_in_place(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
		       uint64_t end, bool unmaps)
{
	init_edit(edit, thread, start, end);
	mm__room_claim(thread);
	if (begin_in_place(edit, unmaps))
		return true;
	mm__room_give_back(thread);
	tidy_after(edit);
	return false;
}

void mm__edit_locked(struct mm__edit *edit, struct mm__thread *thread, uint64_t start, uint64_t end)
{
	init_edit(edit, thread, start, end);
	lock_and_begin(edit);
}

void mm__edit_begin(struct mm__edit *edit, struct mm__thread *thread, uint64_t start, uint64_t end,
		    bool unmaps)
{
	init_edit(edit, thread, start, end);
	mm__room_claim(thread);
	if (!begin_in_place(edit, unmaps) && !(edit->tree.widens && lock_and_widen(edit)))
		lock_and_begin(edit);
}

void mm__edit_in_tree_lock(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
			   uint64_t end, bool unmaps)
{
	init_edit(edit, thread, start, end);
	if (begin_in_place(edit, unmaps) || (edit->tree.widens && widen_bounds(edit)))
		mm__tree_unlock(thread->mm, thread);
	else
		begin_with_lock(edit);
}

void mm__edit_with_tree_lock(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
			     uint64_t end)
{
	init_edit(edit, thread, start, end);
	begin_with_lock(edit);
}

void mm__edit_pause(struct mm__edit *edit)
{
	struct mm__thread *thread = edit->thread;

	mm__vma_edit_end(&edit->tree);
	mm__tree_unlock(thread->mm, thread);
	mm__tree_lock(thread->mm);
	begin_with_lock(edit);
}

int mm__edit_reserve(struct mm__edit *edit, unsigned int cuts, unsigned int puts)
{
	struct mm__vma_needs needs = needs_of(cuts, puts);

	if (!mm__vmas_stock(CUT_VMAS * cuts + puts))
		return ENOMEM;
	return edit->tree.border
		       ? 0
		       : mm__vma_tree_reserve(&edit->thread->mm->vmas, &edit->nodes, &needs);
}

/*
 * The changes to the first or only VMA of a range, and later to the last: each VMA has a part that
 * changes, and one or two that do not.
 */
#define FIRST_CHANGES 4u
#define LAST_CHANGES  3u

static int reserve_for_ends(struct mm *mm, struct mm__vma_budget *nodes, unsigned int now)
{
	/* Each thread may have divided a VMA that is to be one again, or a border node. */
	uint64_t more = 8 * (uint64_t)MM__MANY_THREADS;
	uint64_t most = mm->attr.max_areas;
	struct mm__vma_needs needs = { now, LAST_CHANGES + PUT_CHANGES,
				       most > UINT64_MAX - more ? UINT64_MAX : most + more };

	return mm__vma_tree_reserve(&mm->vmas, nodes, &needs);
}

int mm__edit_reserve_ends(struct mm__edit *edit, struct mm__vma_budget *nodes)
{
	return reserve_for_ends(edit->thread->mm, nodes, FIRST_CHANGES);
}

/*
 * Ending an edit
 */

void mm__edit_end_refilled(struct mm__edit *edit, struct mm__vma_budget *nodes)
{
	struct mm__thread *thread = edit->thread;
	struct mm *mm = thread->mm;
	struct mm__garbage *retired;
	int error;

	mm__vma_edit_end(&edit->tree);
	retired = unlock_tree(edit);
	mm__room_give_back(thread);
	mm__rcu_wait();
	mm__tree_lock(mm);
	mm__vma_tree_recycle(&mm->vmas, retired);
	mm__vma_tree_release(&mm->vmas, nodes);
	error = reserve_for_ends(mm, nodes, 0);
	mm__check(!error, "merges replaced less than they used");
	mm__tree_unlock(mm, thread);
	mm__vmas_free(edit->dead);
}

void mm__divide_border(struct mm__thread *thread)
{
	struct mm__vma_edit tree = { .divides = true };

	/* If the border node is divided, the thread finds another one. */
	thread->look.strain = 0;
	thread->look.passed += thread->look.passed < 16;
	mm__rcu_read_lock();
	tree.tidy = mm__vma_tree_key_beside(&thread->mm->vmas, thread->look.addr, thread->number);
	mm__rcu_read_unlock();
	if (tree.tidy)
		tidy_tree(thread, &tree);
}

struct mm__garbage *mm__edit_end_removed(struct mm__edit *edit)
{
	struct mm__garbage *nodes = NULL;
	bool in_place = edit->tree.border;

	mm__vma_edit_end(&edit->tree);
	if (edit->locked)
		nodes = unlock_tree(edit);
	if (in_place)
		mm__rcu_read_unlock();
	mm__room_give_back(edit->thread);
	mm__rcu_free(nodes);
	tidy_after(edit);
	return edit->dead;
}

void mm__edit_end(struct mm__edit *edit)
{
	mm__vmas_free(mm__edit_end_removed(edit));
}

/*
 * Moves
 */

/* Attempts while another thread has a border node locked, or the bounds for gaps are too narrow. */
#define MOVE_TRIES 8u

/* Ends those of the two edits that have begun, and does nothing else. */
static void end_both(struct mm__edit_move *move)
{
	struct mm__edit *edits[2] = { &move->low, &move->high };

	for (unsigned int i = 0; i < 2; i++)
		if (edits[i]->tree.border)
			mm__vma_edit_end(&edits[i]->tree);
	for (unsigned int i = 0; i < 2; i++)
		if (edits[i]->tree.border)
			mm__rcu_read_unlock();
}

static bool begin_second(struct mm__edit *edit, const struct mm__edit *first, bool unmaps)
{
	struct mm__vma_edit before = edit->tree;
	bool begun;

	mm__rcu_read_lock();
	begun = mm__vma_edit_second(&edit->tree, &first->tree, edit->start, edit->end,
				    edit->thread->number, unmaps);
	keep_work(&edit->tree, &before);
	if (!begun)
		mm__rcu_read_unlock();
	return begun;
}

static bool begin_both(struct mm__edit_move *move, bool up)
{
	struct mm__edit *low = &move->low;
	struct mm__edit *high = &move->high;

	move->source = low;
	move->target = low;
	high->tree.widens = high->tree.busy = false;
	if (!begin_in_place(low, up))
		return false;
	if (mm__vma_edit_includes(&low->tree, high->start, high->end, !up))
		return true;
	if (!low->tree.widens && begin_second(high, low, !up)) {
		move->source = up ? low : high;
		move->target = up ? high : low;
		return true;
	}
	end_both(move);
	low->tree.border = NULL;
	return false;
}

/* Whether to try again after a failure. The caller holds no lock but ranges. */
static bool may_try_again(const struct mm__edit_move *move, bool up)
{
	const struct mm__edit *source = up ? &move->low : &move->high;
	struct mm__thread *thread = source->thread;

	if (move->low.tree.widens || move->high.tree.widens) {
		mm__tree_lock(thread->mm);
		mm__vma_tree_widen(&thread->mm->vmas, source->start, source->end);
		mm__tree_unlock(thread->mm, thread);
		return true;
	}
	mmrange__relax();
	return move->high.tree.busy;
}

bool mm__edit_move_in_place(struct mm__edit_move *move, struct mm__thread *thread, uint64_t from,
			    uint64_t from_end, uint64_t to, uint64_t to_end)
{
	bool up = from < to;

	init_edit(&move->low, thread, up ? from : to, up ? from_end : to_end);
	init_edit(&move->high, thread, up ? to : from, up ? to_end : from_end);
	mm__room_claim(thread);
	for (unsigned int tries = MOVE_TRIES; tries; tries--) {
		if (begin_both(move, up))
			return true;
		if (!may_try_again(move, up))
			break;
	}
	mm__room_give_back(thread);
	tidy_after(&move->low);
	tidy_after(&move->high);
	return false;
}

void mm__edit_end_move(struct mm__edit_move *move)
{
	end_both(move);
	mm__room_give_back(move->low.thread);
	tidy_after(&move->low);
	tidy_after(&move->high);
}
