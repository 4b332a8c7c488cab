/* SPDX-License-Identifier: MIT */
/*
 * area_tree - the areas of an address space: a B+-tree of disjoint, half-open ranges, with the
 * greatest gap of each subtree, so that the highest gap of a given length is found in O(log n).
 *
 * It knows nothing of locks, of pages, or of what makes two areas one: the caller serialises, and
 * keeps areas from overlapping. Areas are handed out as pointers to const that are good until the
 * next change of the tree.
 *
 * A change cannot fail: what insertions may need is reserved before, so that a caller who runs out
 * of memory has changed nothing yet.
 */
#ifndef MM_AREA_TREE_H
#define MM_AREA_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct mm__area {
	uint64_t start;
	uint64_t end;
	int prot;
	int flags;       /* MM_MAP_...: those that tell areas apart, see areas.c */
	uint64_t object; /* shared areas: what they map, */
	uint64_t offset; /* and from where */
};

struct mm__area_node;

struct mm__area_tree {
	struct mm__area_node *root; /* NULL: empty */
	unsigned int height;        /* levels of nodes */
	uint64_t count;
	/* What insertions use up, and erasures give back. */
	struct mm__area_node *spare_nodes;
	union mm__area_cell *spare_areas;
	unsigned int nr_spare_nodes;
	unsigned int nr_spare_areas;
};

void mm__area_tree_init(struct mm__area_tree *tree);

/* Frees everything. O(n). */
void mm__area_tree_destroy(struct mm__area_tree *tree);

/*
 * The first area that ends above addr: the one that contains it, or else the next; NULL if there is
 * none. O(log n).
 */
const struct mm__area *mm__area_tree_find(const struct mm__area_tree *tree, uint64_t addr);

/*
 * The highest address of length free bytes in [low, high), in *addr; false if there are none.
 * length > 0. O(log n).
 */
bool mm__area_tree_highest_gap(const struct mm__area_tree *tree, uint64_t length, uint64_t low,
			       uint64_t high, uint64_t *addr);

/* Makes sure that this many insertions have the memory they need. 0 or ENOMEM. */
int mm__area_tree_reserve(struct mm__area_tree *tree, unsigned int insertions);

/* Puts a copy of *area in, which overlaps nothing there; it must have been reserved. O(log n). */
void mm__area_tree_insert(struct mm__area_tree *tree, const struct mm__area *area);

/* Takes the area that begins at start out. It must exist. O(log n). */
void mm__area_tree_erase(struct mm__area_tree *tree, uint64_t start);

/*
 * Makes the area that begins at start equal to *area. The bounds may change as long as the area
 * stays between its neighbours. O(log n).
 */
void mm__area_tree_change(struct mm__area_tree *tree, uint64_t start, const struct mm__area *area);

/* Whether order, fill, heights and gaps are right; if not, *what says what is wrong. O(n). */
bool mm__area_tree_valid(const struct mm__area_tree *tree, const char **what);

#endif
