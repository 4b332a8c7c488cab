/* SPDX-License-Identifier: MIT */
/*
 * Spare nodes and areas are kept in the tree: what an operation reserves and does not use is there
 * for the next one, and so is what was erased, up to a limit.
 */
#include "area_node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Spare parts beyond these are given back. */
#define MAX_SPARE 64u

union mm__area_cell {
	struct mm__area area;
	union mm__area_cell *next_spare;
};

struct mm__area_node *mm__area_node_take(struct mm__area_tree *tree)
{
	struct mm__area_node *node = tree->spare_nodes;

	tree->spare_nodes = node->next_spare;
	tree->nr_spare_nodes--;
	node->count = 0;
	return node;
}

void mm__area_node_give(struct mm__area_tree *tree, struct mm__area_node *node)
{
	if (tree->nr_spare_nodes >= MAX_SPARE) {
		free(node);
		return;
	}
	node->next_spare = tree->spare_nodes;
	tree->spare_nodes = node;
	tree->nr_spare_nodes++;
}

struct mm__area *mm__area_take(struct mm__area_tree *tree)
{
	union mm__area_cell *cell = tree->spare_areas;

	tree->spare_areas = cell->next_spare;
	tree->nr_spare_areas--;
	return &cell->area;
}

void mm__area_give(struct mm__area_tree *tree, struct mm__area *area)
{
	union mm__area_cell *cell = (union mm__area_cell *)area;

	if (tree->nr_spare_areas >= MAX_SPARE) {
		free(cell);
		return;
	}
	cell->next_spare = tree->spare_areas;
	tree->spare_areas = cell;
	tree->nr_spare_areas++;
}

int mm__area_tree_reserve(struct mm__area_tree *tree, unsigned int insertions)
{
	/*
	 * Each insertion may split a node on every level and add a root; each added root is a level
	 * for the next.
	 */
	unsigned int nodes = insertions * (tree->height + insertions + 1);

	while (tree->nr_spare_nodes < nodes) {
		struct mm__area_node *node = malloc(sizeof(*node));

		if (!node)
			return ENOMEM;
		node->next_spare = tree->spare_nodes;
		tree->spare_nodes = node;
		tree->nr_spare_nodes++;
	}
	while (tree->nr_spare_areas < insertions) {
		union mm__area_cell *cell = malloc(sizeof(*cell));

		if (!cell)
			return ENOMEM;
		cell->next_spare = tree->spare_areas;
		tree->spare_areas = cell;
		tree->nr_spare_areas++;
	}
	return 0;
}

void mm__area_tree_init(struct mm__area_tree *tree)
{
	memset(tree, 0, sizeof(*tree));
}

static void free_subtree(struct mm__area_node *node, unsigned int height)
{
	for (unsigned int i = 0; i < node->count; i++) {
		if (height > 1)
			free_subtree(node->slot[i].below, height - 1);
		else
			free(node->slot[i].below);
	}
	free(node);
}

void mm__area_tree_destroy(struct mm__area_tree *tree)
{
	if (tree->root)
		free_subtree(tree->root, tree->height);
	while (tree->spare_nodes) {
		struct mm__area_node *node = tree->spare_nodes;

		tree->spare_nodes = node->next_spare;
		free(node);
	}
	while (tree->spare_areas) {
		union mm__area_cell *cell = tree->spare_areas;

		tree->spare_areas = cell->next_spare;
		free(cell);
	}
}
