/* SPDX-License-Identifier: MIT */
/*
 * interval_tree - ranges ordered by start and then by address, in an AVL tree. Each node has the
 * greatest end in its subtree, once of all ranges and once of the writers. The tree knows nothing
 * of locks: its caller serialises.
 *
 * (Adelson-Velsky & Landis 1962; augmentation: Cormen et al., "Interval trees". Split and join:
 * Blelloch, Ferizovic & Sun, "Just Join for Parallel Ordered Sets", SPAA 2016.)
 *
 * A tree is a root pointer, NULL when empty. Ranges may overlap and may be equal. The caller sets
 * start, end and mode before it inserts a range. While the range is in the tree, the caller changes
 * end and mode only together with range__tree_update(), and start not at all.
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

/* Neither node of a range is in a tree yet. Only range__node_in_tree() needs this call. */
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

/* O(log n). The node must be in the tree. */
void range__tree_erase(struct range__node **root, struct range__node *range);

/* After the end or the mode of a range in the tree has changed. O(log n). */
void range__tree_update(struct range__node **root, struct range__node *range);

/*
 * Some range that overlaps [start, end), a writer's if writers_only; NULL: there is none. O(log n).
 */
struct range__node *range__tree_overlap(struct range__node *root, uint64_t start, uint64_t end,
					bool writers_only);

/*
 * The first range in order that overlaps [start, end), and the next; NULL at the end. O(log n)
 * each.
 */
struct range__node *range__tree_first(struct range__node *root, uint64_t start, uint64_t end);
struct range__node *range__tree_next(struct range__node *range, uint64_t start, uint64_t end);

/*
 * The first range in order with start > from, or with start == from and at least that address;
 * NULL: there is none. O(log n).
 */
struct range__node *range__tree_from(struct range__node *root, uint64_t from, uintptr_t address);

/* Moves the ranges with start >= point from *root to *right, which was empty. O(log n). */
void range__tree_split(struct range__node **root, uint64_t point, struct range__node **right);

/* Whether order, balance, augmentation and parents are right. O(n); for tests. */
bool range__tree_valid(const struct range__node *root);

#endif
