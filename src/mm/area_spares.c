/* SPDX-License-Identifier: MIT */
/*
 * The spare nodes of an area_tree, and who may use how many of them.
 */
#include "area_node.h"
#include "lock.h"
#include "memory.h"

#include <errno.h>
#include <string.h>

/* No part of a node shares two lines that a processor may load together with another thread's. */
#define LINE 128u

static size_t node_size(bool inner)
{
	return inner ? sizeof(struct inner) : sizeof(struct leaf);
}

static unsigned int spare_count(const struct mm__area_spares *spares, bool inner)
{
	return atomic_load_explicit(&spares->count[inner], memory_order_relaxed);
}

/* A writer's alone, or the caller's: no need for an atomic addition. */
static void put_spare(struct mm__area_spares *spares, bool inner, struct mm__garbage *spare)
{
	spare->next = spares->first[inner];
	spares->first[inner] = spare;
	atomic_store_explicit(&spares->count[inner], spare_count(spares, inner) + 1,
			      memory_order_relaxed);
}

static void *get_spare(struct mm__area_spares *spares, bool inner)
{
	struct mm__garbage *spare = spares->first[inner];

	if (!spare)
		return NULL;
	spares->first[inner] = spare->next;
	atomic_store_explicit(&spares->count[inner], spare_count(spares, inner) - 1,
			      memory_order_relaxed);
	return spare;
}

/* All keys of a spare are UINT64_MAX. The thread that fills it under a lock finds it in the cache. */
static void put_new_spare(struct mm__area_spares *spares, bool inner, void *memory)
{
	memset(memory, 0xff, node_size(inner));
	put_spare(spares, inner, memory);
}

/* Allocates until there are n, with those that others have. */
static int fill_up(struct mm__area_spares *spares, bool inner, unsigned int n, unsigned int others)
{
	while (spare_count(spares, inner) + others < n) {
		void *spare = mm__allocate(LINE, node_size(inner));

		if (!spare)
			return ENOMEM;
		put_new_spare(spares, inner, spare);
	}
	return 0;
}

/*
 * How many levels a tree with so many leaves has at most. Where some leaves are empty, there are others
 * with several mappings for each of these.
 */
static unsigned int most_levels(uint64_t mappings)
{
	uint64_t least = 2; /* in a tree of one level more */
	unsigned int levels = 1;

	for (; mappings >= least; levels++) {
		if (least > UINT64_MAX / (INNER_SLOTS / 3))
			return levels + 1;
		least *= INNER_SLOTS / 3;
	}
	return levels;
}

/*
 * A change replaces or makes at most two nodes on a level, and one as a root. A tree that becomes one
 * level higher meanwhile needs no more: its new root is replaced, and is not divided before it is
 * full. That takes 16 more insertions at least.
 */
static unsigned int inners_for(unsigned int changes, unsigned int levels)
{
	return levels ? changes * (2 * levels - 1) : 0;
}

/* How many spares of a kind are needed. */
static unsigned int nodes_for(const struct mm__area_tree *tree, const struct mm__area_needs *needs,
			      bool inner)
{
	unsigned int levels = atomic_load_explicit(&tree->levels, memory_order_relaxed);
	unsigned int later;

	if (!inner)
		return 2 * (needs->now + needs->later);
	later = most_levels(needs->most);
	later = later > levels ? later : levels + 1;
	return inners_for(needs->now, levels + needs->now / 16) +
	       (needs->later ? inners_for(needs->later, later) : 0);
}

static unsigned int reserved(const struct mm__area_tree *tree, bool inner)
{
	return atomic_load_explicit(&tree->reserved[inner], memory_order_relaxed);
}

static void set_reserved(struct mm__area_tree *tree, bool inner, unsigned int n)
{
	atomic_store_explicit(&tree->reserved[inner], n, memory_order_relaxed);
}

void mm__area_tree_preload(const struct mm__area_tree *tree, const struct mm__area_needs *needs,
			   struct mm__area_spares *spares)
{
	int error = 0;

	memset(spares, 0, sizeof(*spares));
	for (int inner = 0; inner < 2 && !error; inner++)
		error = fill_up(spares, inner,
				nodes_for(tree, needs, inner) + reserved(tree, inner),
				spare_count(&tree->spares, inner));
}

void mm__area_tree_stock(struct mm__area_tree *tree, struct mm__area_spares *spares)
{
	for (int inner = 0; inner < 2; inner++) {
		struct mm__garbage *spare;

		while ((spare = get_spare(spares, inner)))
			put_spare(&tree->spares, inner, spare);
	}
}

int mm__area_tree_reserve(struct mm__area_tree *tree, struct mm__area_budget *budget,
			  const struct mm__area_needs *needs)
{
	unsigned int nodes[2];

	*budget = (struct mm__area_budget){ 0, { 0, 0 } };
	for (int inner = 0; inner < 2; inner++) {
		nodes[inner] = nodes_for(tree, needs, inner);
		if (fill_up(&tree->spares, inner, nodes[inner] + reserved(tree, inner), 0))
			return ENOMEM;
	}
	for (int inner = 0; inner < 2; inner++) {
		budget->nodes[inner] = nodes[inner];
		set_reserved(tree, inner, reserved(tree, inner) + nodes[inner]);
	}
	budget->changes = needs->now + needs->later;
	return 0;
}

void mm__area_tree_recycle(struct mm__area_tree *tree, struct mm__garbage *retired)
{
	while (retired) {
		struct mm__area_node *node = (struct mm__area_node *)retired;

		retired = retired->next;
		mm__area_node_free_detached(node);
		put_new_spare(&tree->spares, node->level, node);
	}
}

void mm__area_tree_release(struct mm__area_tree *tree, struct mm__area_budget *budget)
{
	for (int inner = 0; inner < 2; inner++) {
		set_reserved(tree, inner, reserved(tree, inner) - budget->nodes[inner]);
		budget->nodes[inner] = 0;
	}
	budget->changes = 0;
}

void mm__area_change(struct mm__area_tree *tree, struct mm__area_budget *budget)
{
	mm__check(budget->changes,
		  "an operation changes the areas more often than it reserved for");
	budget->changes--;
	tree->budget = budget;
}

void *mm__area_spare_take(struct mm__area_tree *tree, bool inner)
{
	mm__check(tree->budget->nodes[inner] && tree->spares.first[inner],
		  "a change of the areas uses more nodes than were reserved");
	tree->budget->nodes[inner]--;
	set_reserved(tree, inner, reserved(tree, inner) - 1);
	return get_spare(&tree->spares, inner);
}

void mm__area_spare_give(struct mm__area_tree *tree, void *spare, bool inner)
{
	put_spare(&tree->spares, inner, spare);
	tree->budget->nodes[inner]++;
	set_reserved(tree, inner, reserved(tree, inner) + 1);
}

void mm__area_spares_free(struct mm__area_spares *spares)
{
	for (int inner = 0; inner < 2; inner++) {
		void *spare;

		while ((spare = get_spare(spares, inner)))
			mm__free(spare);
	}
}
