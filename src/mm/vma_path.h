/* SPDX-License-Identifier: MIT */
/*
 * vma_path - the way from the root of a vma_tree to a border node, as a writer changes it: for
 * vma_tree.c and vma_erase.c. See vma_tree.c for the invariants.
 */
#ifndef MM_VMA_PATH_H
#define MM_VMA_PATH_H

#include "vma_node.h"

/*
 * The root has two slots or more, other nodes 21: a tree with more levels has more border nodes
 * than addresses.
 */
#define MAX_LEVELS 16u

struct path {
	unsigned int levels;
	unsigned int owned; /* levels, from the border node up, whose nodes are private copies */
	struct mm__vma_node *node[MAX_LEVELS];
	unsigned int index[MAX_LEVELS]; /* of the child below */
};

/* Finds the way to the border node of addr. The tree is not empty. */
void mm__path_descend(const struct mm__vma_tree *tree, uint64_t addr, struct path *path);

/* Makes private copies of the path's nodes up to this level. */
struct mm__vma_node *mm__path_own(struct mm__vma_tree *tree, struct path *path, unsigned int level);

/*
 * Publishes the private nodes of the path to readers. The writer changes none of them after that.
 */
void mm__path_publish(struct mm__vma_tree *tree, struct path *path);

/*
 * Records the sum of the node below this level. Returns false if no sum changed, here or further
 * up.
 */
bool mm__path_update_sum(struct path *path, unsigned int level);

/*
 * With the lock: begins an edit in place of the path's border node, which is locked together with
 * the tree. The second function ends an edit after which there may be more room than before.
 */
struct mm__vma_edit mm__path_edit_border(struct mm__vma_tree *tree, const struct path *path);
void mm__path_border_edited(struct path *path, struct mm__vma_edit *edit);

/* Puts a child and its sum into slot i of a private node. */
void mm__put_child(struct mm__vma_node *node, unsigned int i, uint64_t key,
		   struct mm__vma_node *child);

/*
 * vma_erase.c: removes all border nodes in [start, end), where nothing is mapped. Keeps their
 * mappings beside the range.
 */
void mm__vma_tree_remove_borders(struct mm__vma_edit *edit, uint64_t start, uint64_t end);

/*
 * If the border node of addr has too few mappings, joins it with a sibling, or moves some of the
 * sibling's to it.
 */
void mm__vma_tree_refill(struct mm__vma_edit *edit, uint64_t addr);

#endif
