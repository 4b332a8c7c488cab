/* SPDX-License-Identifier: MIT */
#include "vma_lifetime.h"

#include "memory.h"
#include "vma_border.h"
#include "vma_spares.h"

#include <string.h>

/* The VMA tree lock has the border node locked from the start. */
static void init_border(struct mm__vma_tree *tree, struct border *border)
{
	mm__table_lock_init(&border->lock);
	border->dead = false;
	border->sparse = false;
	border->writer = 0;
	border->strain = 0;
	border->too_strained = MM__STRAIN_SPLIT;
	atomic_init(&border->seq, 0);
	border->low = border->high = 0;
	border->recorded = (struct sum){ UINT64_MAX, 0, 0 };
	border->last_start = border->last_end = 0;
	border->seen = border->seen_at = 0;
	mm__border_lock(tree, border);
}

struct mm__vma_node *mm__vma_node_take(struct mm__vma_tree *tree, unsigned int level)
{
	struct mm__vma_node *node = mm__vma_spare_take(tree, level);

	node->level = level;
	node->count = 0;
	if (!level)
		init_border(tree, mm__border(node));
	return node;
}

void mm__vma_node_give(struct mm__vma_tree *tree, struct mm__vma_node *node)
{
	if (!node->level)
		mm__border_forget(tree, mm__border(node));
	mm__clear_slots(node, 0);
	mm__vma_spare_give(tree, node, node->level);
}

static void free_retired(struct mm__garbage *garbage)
{
	/* The garbage is the first member. */
	struct mm__vma_node *node = (struct mm__vma_node *)garbage;

	mm__vma_node_free_detached(node);
	mm__free(node);
}

void mm__vma_node_retire(struct mm__vma_tree *tree, struct mm__vma_node *node, unsigned int first,
			 unsigned int end)
{
	if (!node->level)
		mm__border_retire(tree, mm__border(node));
	node->first_detached = first;
	node->end_detached = end;
	node->garbage.free = first < end ? free_retired : NULL;
	node->garbage.next = tree->retired;
	tree->retired = &node->garbage;
}

struct mm__vma_node *mm__vma_node_replace(struct mm__vma_tree *tree, struct mm__vma_node *node)
{
	struct mm__vma_node *copy = mm__vma_node_take(tree, node->level);

	if (!node->level)
		mm__border_take_over(tree, mm__border(copy), mm__border(node));
	mm__copy_slots(copy, node);
	mm__vma_node_retire(tree, node, 0, 0);
	return copy;
}

void mm__vma_tree_init(struct mm__vma_tree *tree)
{
	memset(tree, 0, sizeof(*tree));
}

void mm__vma_tree_destroy(struct mm__vma_tree *tree)
{
	struct mm__vma_node *root = atomic_load_explicit(&tree->root, memory_order_relaxed);
	struct mm__garbage *node;

	if (root)
		mm__vma_node_free(root);
	mm__vma_spares_free(&tree->spares);
	while ((node = tree->retired)) {
		tree->retired = node->next;
		free_retired(node);
	}
}

struct mm__garbage *mm__vma_tree_take_retired(struct mm__vma_tree *tree)
{
	struct mm__garbage *retired = tree->retired;

	tree->retired = NULL;
	return retired;
}
