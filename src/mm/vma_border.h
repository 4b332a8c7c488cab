/* SPDX-License-Identifier: MIT */
/*
 * The border nodes of a vma_tree: looking up mappings in one, and changing one in place.
 *
 * A thread finds a border node by keys alone, see vma_path.h. A writer changes its slots in one of
 * two ways. In place, it holds the lock of the border node. Otherwise it makes a copy, which takes
 * the place of the border node, and holds the lock of the tree and that of the border node. The
 * copy is locked from the start. A border node that was replaced is dead: its slots stay as they
 * were then, until no reader looks at it.
 *
 *	reader                                 writer in place, holding the border node's lock
 *	[BORDER-L1] seq: even? acquire         [BORDER-L4] seq odd, relaxed
 *	[BORDER-L2] slots, acquire             [BORDER-L5] slots, release
 *	[BORDER-L3] seq as before? relaxed     [BORDER-L6] seq even, release
 *
 * Claim: the slots that a reader has used when BORDER-L3 succeeds are those of one moment. Let the
 * count of BORDER-L1 be that of one edit. If the reader loaded a slot from a later edit, a
 * BORDER-L5 stored that slot after the BORDER-L4 of the same edit. BORDER-L3 then loads the value
 * of this BORDER-L4 or of a later store, and fails. The reader loaded all other slots from the edit
 * or from before it. It loaded no value that one of these edits replaced, because BORDER-L1 saw the
 * BORDER-L6 after their stores. (Optimistic lock coupling, Leis et al., DaMoN 2016, has such leaf
 * nodes. The count alone is that of a sequence lock, with the orders of Boehm, MSPC 2012.)
 *
 * A reader that finds the count odd, or changed, for some time locks the border node to read. It
 * then waits for a preempted writer as it would wait for the lock of a page table, and its wait
 * ends.
 *
 * For writers:
 *
 *	BORDER-A  The lock of a border node protects its slots, and all fields of struct border
 *	          except those that only mm__vma_tree_tidy() and the list of locked border nodes
 *	          use. The lock of the tree protects those.
 *	BORDER-B  low and high are the keys between which the border node lies, or lie closer
 *	          together than these keys. They change with the lock of the tree. If a key moves
 *	          into a border node, the writer has locked that border node: the mapping that moves
 *	          the key, and the border node, touch the range of the edit, see
 *	          mm__vma_edit_locked().
 *	BORDER-C  An edit in place stays between low and high, and touches neither. It therefore
 *	          never moves a key, and the border node has every mapping that touches its range.
 *	BORDER-D  An edit with the lock of the tree locks the border nodes at both ends of its
 *	          range, and beside them, before it looks at any mapping. Border nodes between them
 *	          have only mappings of the range, which no other writer changes.
 *	BORDER-E  A thread with the lock of the tree may lock any number of border nodes. A thread
 *	          without it waits for nothing while it has a border node locked. If it needs a
 *	          second border node, because mappings move from one to the other, it only tries to
 *	          lock the second. So no threads wait in a circle. Such a thread has both border
 *	          nodes locked before it changes either. A writer that has both locked therefore
 *	          sees the whole move or nothing of it. A reader may see one of the two changes
 *	          before the other.
 *
 * A border node becomes strained when threads whose ranges do not touch change it in turn, or when
 * one thread looks at it and others change it. The strain rises by MM__STRAIN_STEP for each turn,
 * and falls by one for each use without a turn. A strained border node is divided between the
 * threads. A thread that only looks keeps the strain in its struct mm__vma_look, so it writes
 * nothing to the border node. The parts of a divided border node may stay sparse until no thread
 * has changed them for some time, which mm__vma_tree_tidy() finds out.
 */
#ifndef MM_VMA_BORDER_H
#define MM_VMA_BORDER_H

#include "lock.h"
#include "vma_node.h"

static inline void mm__border_acquire(struct border *border, unsigned int level)
{
	mm__order_take(MM__ORDER_BORDER, level, 0);
	mm__table_lock_take(&border->lock);
}

/* Locks a second border node, by [BORDER-E]. */
bool mm__border_try_acquire(struct border *border);

static inline void mm__border_release(struct border *border)
{
	mm__table_lock_drop(&border->lock);
	mm__order_drop(MM__ORDER_BORDER);
}

/*
 * The border nodes that are locked together with the tree
 */

/*
 * With the VMA tree lock: locks the border node until the edit ends, unless that lock has it locked
 * already.
 */
void mm__border_lock(struct mm__vma_tree *tree, struct border *border);

/* Whether the writer with the VMA tree lock has the border node locked. */
bool mm__border_is_locked(const struct mm__vma_tree *tree, const struct border *border);

/* [BORDER-B]: records between which keys the border node lies, which is locked. */
void mm__border_set_keys(const struct mm__vma_tree *tree, struct border *border, uint64_t low,
			 uint64_t high);

/* At the end of an edit: unlocks all that are locked, and records between which keys they lie. */
void mm__border_unlock_all(struct mm__vma_tree *tree);

/* Before a private border node goes back to the spares: takes it off the list of locked ones. */
void mm__border_forget(struct mm__vma_tree *tree, struct border *border);

/* The border node leaves the tree, and its slots stay as they are now. Locks it. */
void mm__border_retire(struct mm__vma_tree *tree, struct border *border);

/*
 * Makes a private border node take the place of another one, which is locked before it is copied.
 */
void mm__border_take_over(struct mm__vma_tree *tree, struct border *copy, struct border *border);

#endif
