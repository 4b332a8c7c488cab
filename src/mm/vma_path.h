/* SPDX-License-Identifier: MIT */
/*
 * vma_path - the way from the root of an vma_tree to a border node, as a writer changes it: for
 * vma_tree.c and vma_erase.c. See vma_tree.c for the rules.
 */
#ifndef MM_VMA_PATH_H
#define MM_VMA_PATH_H

#include "vma_node.h"

/* Two slots in the root, 21 in the others: beyond this, more border nodes than addresses. */
#define MAX_LEVELS 16u

struct path {
	unsigned int levels;
	unsigned int owned; /* levels from the border node up whose nodes are private copies */
	struct mm__vma_node *node[MAX_LEVELS];
	unsigned int index[MAX_LEVELS]; /* of the child below */
};

/* The way to the border node for addr. The tree is not empty. */
void mm__path_descend(const struct mm__vma_tree *tree, uint64_t addr, struct path *path);

/* Makes the path private up to this level. */
struct mm__vma_node *mm__path_own(struct mm__vma_tree *tree, struct path *path,
				   unsigned int level);

/* Shows readers what is private of the path. The writer changes none of it after that. */
void mm__path_publish(struct mm__vma_tree *tree, struct path *path);

/* Sums up the node below this level; false if that says nothing new, here or further up. */
bool mm__path_update_sum(struct path *path, unsigned int level);

/*
 * With the lock, an edit in place of the border node of the path, which gets locked with the tree; and its end, if
 * there may be more room than before.
 */
struct mm__vma_edit mm__path_edit_border(struct mm__vma_tree *tree, const struct path *path);
void mm__path_border_edited(struct path *path, struct mm__vma_edit *edit);

/* Puts a child, and its sum, into slot i of a private node. */
void mm__put_child(struct mm__vma_node *node, unsigned int i, uint64_t key,
		   struct mm__vma_node *child);

/* vma_erase.c: nothing is mapped in [start, end): removes all border nodes there, but for what they have beside it. */
void mm__vma_tree_remove_borders(struct mm__vma_edit *edit, uint64_t start, uint64_t end);

/* Joins the border node of addr with a sibling, or takes some of the sibling's, if it has too few. */
void mm__vma_tree_refill(struct mm__vma_edit *edit, uint64_t addr);

#endif
