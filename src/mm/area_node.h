/* SPDX-License-Identifier: MIT */
/*
 * area_node - what area_tree is made of, and where its memory comes from and goes to.
 *
 * A node has up to FANOUT slots, each with the bounds [lo, hi) of what hangs below it and the
 * greatest gap inside: a subtree in an inner node, one area (without a gap) in a leaf. So leaves
 * and inner nodes are one type, and one function sums up either. A gap between two slots is the
 * business of the node that has both; the space before the first area and after the last belongs to
 * no node.
 */
#ifndef MM_AREA_NODE_H
#define MM_AREA_NODE_H

#include "area_tree.h"

#define FANOUT 16u
#define FILL   (FANOUT / 2)

struct slot {
	uint64_t lo;
	uint64_t hi;
	uint64_t gap;
	void *below; /* struct mm__area in a leaf, else struct mm__area_node */
};

struct mm__area_node {
	unsigned int count;
	struct mm__area_node *next_spare;
	struct slot slot[FANOUT];
};

/* Take what was reserved; the node is empty. */
struct mm__area_node *mm__area_node_take(struct mm__area_tree *tree);
struct mm__area *mm__area_take(struct mm__area_tree *tree);

/* Give back what the tree does not use any more. */
void mm__area_node_give(struct mm__area_tree *tree, struct mm__area_node *node);
void mm__area_give(struct mm__area_tree *tree, struct mm__area *area);

#endif
