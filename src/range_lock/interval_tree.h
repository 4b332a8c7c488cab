/* SPDX-License-Identifier: MIT */
/*
 * interval_tree - ranges ordered by start and then by address, in an AVL tree augmented with the greatest end of each
 * subtree, once of all ranges and once of the writers. It knows nothing of locks: the caller
 * serialises.
 *
 * (Adelson-Velsky & Landis 1962; augmentation: Cormen et al., "Interval trees". Split and join:
 * Blelloch, Ferizovic & Sun, "Just Join for Parallel Ordered Sets", SPAA 2016.)
 *
 * A tree is a root pointer, NULL when empty. Ranges may overlap and may be equal. The caller sets
 * start, end and mode before a range goes in, and leaves them alone while it is in,
 * but for range__tree_update().
 */
#ifndef RANGE_LOCK_INTERVAL_TREE_H
#define RANGE_LOCK_INTERVAL_TREE_H

#include "layout.h"

#include <stdbool.h>

/* The range that a node stands for. */
static inline struct range__hold *range__hold_of(const struct range__node *node)
{
	uintptr_t first = (uintptr_t)(node - node->which);

	return (struct range__hold *)(first - offsetof(struct range__hold, node));
}

static inline bool range__overlap(const struct range__hold *hold, uint64_t start, uint64_t end)
{
	return hold->start < end && start < hold->end;
}

/* Says that neither node of a range is in a tree. A range that is only ever inserted and erased needs no such call. */
static inline void range__nodes_init(struct range__hold *hold)
{
	hold->node[0].height = hold->node[1].height = 0;
}

/* Whether a node is in a tree, after range__nodes_init(). */
static inline bool range__node_in_tree(const struct range__node *node)
{
	return node->height != 0;
}

/* O(log n). */
void range__tree_insert(struct range__node **root, struct range__hold *hold, unsigned int which);

/* O(log n). The range must be in the tree. */
void range__tree_erase(struct range__node **root, struct range__node *range);

/* After the end or the mode of a range in the tree has changed; its start may not. O(log n). */
void range__tree_update(struct range__node **root, struct range__node *range);

/* Some range that overlaps [start, end), a writer if writers_only; NULL if there is none. O(log n).
 */
struct range__node *range__tree_overlap(struct range__node *root, uint64_t start, uint64_t end,
					bool writers_only);

/* The first range in order that overlaps [start, end), and the next one; NULL at the end. O(log n)
 * each. */
struct range__node *range__tree_first(struct range__node *root, uint64_t start, uint64_t end);
struct range__node *range__tree_next(struct range__node *range, uint64_t start, uint64_t end);

/*
 * The first range in order with start > from, or with start == from and that address or a greater
 * one; NULL if there is none. O(log n).
 */
struct range__node *range__tree_from(struct range__node *root, uint64_t from, uintptr_t address);

/* Moves the ranges with start >= point from *root to *right, which was empty. O(log n). */
void range__tree_split(struct range__node **root, uint64_t point, struct range__node **right);

/* Whether order, balance, augmentation and parents are right. O(n); for tests. */
bool range__tree_valid(const struct range__node *root);

#endif
