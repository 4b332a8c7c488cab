/* SPDX-License-Identifier: MIT */
/*
 * edit - changing VMAs. The thread holds [start, end) for writing. It looks only at the mappings in
 * the range and at those that touch it, and changes no others.
 */
#ifndef MM_EDIT_H
#define MM_EDIT_H

#include "space.h"

struct mm__edit {
	struct mm__thread *thread;
	uint64_t start;
	uint64_t end;
	bool locked; /* the thread holds the VMA tree lock */
	struct mm__vma_edit tree;
	struct mm__vma_budget nodes; /* reserved by mm__edit_reserve() */
	struct mm__garbage *dead;    /* VMAs that the edit took out */
};

/*
 * Begins an edit in place; returns false if the edit needs the VMA tree lock. unmaps: the edit
 * takes VMAs out, and puts none in. The caller holds no lock but ranges. The thread waits for
 * nothing between begin and end.
 */
bool mm__edit_in_place(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
		       uint64_t end, bool unmaps);

/* Begins an edit with the VMA tree lock. Allocates memory for it before it takes the lock. */
void mm__edit_locked(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
		     uint64_t end);

/* Begins an edit, in place where that is possible. */
void mm__edit_begin(struct mm__edit *edit, struct mm__thread *thread, uint64_t start, uint64_t end,
		    bool unmaps);

/*
 * The same for a caller that holds the VMA tree lock already. The first begins the edit in place
 * and drops the lock, or else begins it with the lock. The second always begins it with the lock.
 * The end of the edit then drops the lock.
 */
void mm__edit_in_tree_lock(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
			   uint64_t end, bool unmaps);

void mm__edit_with_tree_lock(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
			     uint64_t end);

/* Adds another range to an edit with the VMA tree lock. */
static inline void mm__edit_also(struct mm__edit *edit, uint64_t start, uint64_t end)
{
	mm__vma_edit_also(&edit->tree, start, end);
}

/*
 * Drops the VMA tree lock of an edit for a moment, before the edit has changed any mapping. The
 * edit is not in place.
 */
void mm__edit_pause(struct mm__edit *edit);

/*
 * Reserves memory for so many cuts, and for so many calls of mm__vmas_put...() or merges.
 * Returns 0; or ENOMEM, with nothing reserved. An edit may call it once.
 */
int mm__edit_reserve(struct mm__edit *edit, unsigned int cuts, unsigned int puts);

/*
 * With the VMA tree lock: reserves in *nodes what it takes to split the VMAs at both ends of a
 * range, the last one in a later edit, and to merge once. The caller gives back the rest. Returns 0
 * or ENOMEM.
 */
int mm__edit_reserve_ends(struct mm__edit *edit, struct mm__vma_budget *nodes);

/*
 * Ends an edit with the VMA tree lock that has merged VMAs with these nodes, and refills *nodes. To
 * that end it recycles the nodes that the edit replaced, when no reader looks at them any more. So
 * it cannot fail.
 */
void mm__edit_end_refilled(struct mm__edit *edit, struct mm__vma_budget *nodes);

/*
 * Ends an edit, and drops the VMA tree lock if the edit holds it. Returns the VMAs that the edit
 * took out. The caller passes them to mm__vmas_free() once no thread can use their pages any more.
 * When the last VMA of a file is freed, the file is not mapped any more.
 */
struct mm__garbage *mm__edit_end_removed(struct mm__edit *edit);

/* Ends an edit, and frees these VMAs. */
void mm__edit_end(struct mm__edit *edit);

/*
 * An edit in place of two ranges that do not overlap, for moving mappings from one to the other. It
 * is one edit if one border node has both ranges, or else two edits in two border nodes that begin
 * and end together.
 */
struct mm__edit_move {
	struct mm__edit low;
	struct mm__edit high;
	struct mm__edit *source; /* &low or &high; if there is one edit, &low for both */
	struct mm__edit *target;
};

/*
 * As mm__edit_in_place(). Returns false also if another thread does not unlock a border node soon.
 */
bool mm__edit_move_in_place(struct mm__edit_move *move, struct mm__thread *thread, uint64_t from,
			    uint64_t from_end, uint64_t to, uint64_t to_end);

/*
 * Ends the edits, and leaves the VMAs that they took out to the caller: see mm__edit_end_removed().
 */
void mm__edit_end_move(struct mm__edit_move *move);

/*
 * Takes the VMA tree lock for an edit that may follow: claims room for VMAs, and allocates the
 * nodes of so many cuts and puts, or fewer if there is no memory. The end of the edit drops the
 * lock. Without an edit, mm__tree_unlock_prepared() does.
 */
void mm__tree_lock_prepared(struct mm__thread *thread, unsigned int cuts, unsigned int puts);

void mm__tree_unlock_prepared(struct mm__thread *thread);

/*
 * Divides the border node at which the thread looks and which other threads change. The caller
 * holds no lock but ranges.
 */
void mm__divide_border(struct mm__thread *thread);

static inline void mm__divide_if_strained(struct mm__thread *thread)
{
	if (mm__vma_looks_strained(&thread->look))
		mm__divide_border(thread);
}

/* As mm__vma_list_next(), in an edit. */
static inline bool mm__edit_next(const struct mm__edit *edit, struct mm__vma_list *list,
				 uint64_t addr, struct mm__mapping *m)
{
	if (list->next == list->count && !mm__vma_edit_list(&edit->tree, addr, list))
		return false;
	*m = list->m[list->next++];
	return true;
}

#endif
