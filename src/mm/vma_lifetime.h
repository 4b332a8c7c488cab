/* SPDX-License-Identifier: MIT */
/*
 * vma_lifetime - the nodes of a vma_tree from the spares until they are retired: a writer with the
 * VMA tree lock takes new nodes, replaces nodes by private copies, and retires those that leave the
 * tree.
 */
#ifndef MM_VMA_LIFETIME_H
#define MM_VMA_LIFETIME_H

#include "vma_node.h"

/* Takes an empty node from the reserved spares. */
struct mm__vma_node *mm__vma_node_take(struct mm__vma_tree *tree, unsigned int level);

/* Gives back a private node. */
void mm__vma_node_give(struct mm__vma_tree *tree, struct mm__vma_node *node);

/* Makes a private copy, and retires the original. */
struct mm__vma_node *mm__vma_node_replace(struct mm__vma_tree *tree, struct mm__vma_node *node);

/*
 * Retires a node, and all nodes below its children [first, end). Border nodes below those children
 * need no lock, because no other writer may change them: see [BORDER-D].
 */
void mm__vma_node_retire(struct mm__vma_tree *tree, struct mm__vma_node *node, unsigned int first,
			 unsigned int end);

#endif
