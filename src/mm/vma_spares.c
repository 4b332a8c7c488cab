/* SPDX-License-Identifier: MIT */
/*
 * The spare nodes of a vma_tree, and how many of them each writer may use.
 */
#include "vma_spares.h"

#include "memory.h"
#include "vma_node.h"

#include <errno.h>
#include <string.h>

/* Nodes of different threads share no pair of lines that a processor may load together. */
#define LINE 128u

static size_t node_size(bool interior)
{
	return interior ? sizeof(struct interior) : sizeof(struct border);
}

static unsigned int spare_count(const struct mm__vma_spares *spares, bool interior)
{
	return atomic_load_explicit(&spares->count[interior], memory_order_relaxed);
}

/*
 * Only a writer with the lock, or the caller, changes the count, so no atomic addition is
 * necessary.
 */
static void put_spare(struct mm__vma_spares *spares, bool interior, struct mm__garbage *spare)
{
	spare->next = spares->first[interior];
	spares->first[interior] = spare;
	atomic_store_explicit(&spares->count[interior], spare_count(spares, interior) + 1,
			      memory_order_relaxed);
}

static void *get_spare(struct mm__vma_spares *spares, bool interior)
{
	struct mm__garbage *spare = spares->first[interior];

	if (!spare)
		return NULL;
	spares->first[interior] = spare->next;
	atomic_store_explicit(&spares->count[interior], spare_count(spares, interior) - 1,
			      memory_order_relaxed);
	return spare;
}

/*
 * All keys of a spare are UINT64_MAX. The memset also brings the node into the cache of its thread.
 */
static void put_new_spare(struct mm__vma_spares *spares, bool interior, void *memory)
{
	memset(memory, 0xff, node_size(interior));
	put_spare(spares, interior, memory);
}

/* Allocates until spares and others together are n. */
static int fill_up(struct mm__vma_spares *spares, bool interior, unsigned int n,
		   unsigned int others)
{
	while (spare_count(spares, interior) + others < n) {
		void *spare = mm__allocate(LINE, node_size(interior));

		if (!spare)
			return ENOMEM;
		put_new_spare(spares, interior, spare);
	}
	return 0;
}

/*
 * The highest number of levels of a tree with so many mappings. It has no more border nodes than
 * that: if some are empty, others have several mappings for each of them.
 */
static unsigned int most_levels(uint64_t mappings)
{
	uint64_t least = 2; /* the least number of mappings of a tree with one more level */
	unsigned int levels = 1;

	for (; mappings >= least; levels++) {
		if (least > UINT64_MAX / (INTERIOR_SLOTS / 3))
			return levels + 1;
		least *= INTERIOR_SLOTS / 3;
	}
	return levels;
}

/*
 * The interior nodes for so many changes. A change replaces or makes at most two nodes on a level,
 * and one as a root. A tree that grows by a level meanwhile needs no more: a change replaces its
 * new root, and does not divide it before it is full, which takes at least 16 more insertions.
 */
static unsigned int inners_for(unsigned int changes, unsigned int levels)
{
	return levels ? changes * (2 * levels - 1) : 0;
}

/* The spares of a kind that these changes need. */
static unsigned int nodes_for(const struct mm__vma_tree *tree, const struct mm__vma_needs *needs,
			      bool interior)
{
	unsigned int levels = atomic_load_explicit(&tree->levels, memory_order_relaxed);
	unsigned int later;

	if (!interior)
		return 2 * (needs->now + needs->later);
	later = most_levels(needs->most);
	later = later > levels ? later : levels + 1;
	return inners_for(needs->now, levels + needs->now / 16) +
	       (needs->later ? inners_for(needs->later, later) : 0);
}

static unsigned int reserved(const struct mm__vma_tree *tree, bool interior)
{
	return atomic_load_explicit(&tree->reserved[interior], memory_order_relaxed);
}

static void set_reserved(struct mm__vma_tree *tree, bool interior, unsigned int n)
{
	atomic_store_explicit(&tree->reserved[interior], n, memory_order_relaxed);
}

void mm__vma_tree_preload(const struct mm__vma_tree *tree, const struct mm__vma_needs *needs,
			  struct mm__vma_spares *spares)
{
	int error = 0;

	memset(spares, 0, sizeof(*spares));
	for (int interior = 0; interior < 2 && !error; interior++)
		error = fill_up(spares, interior,
				nodes_for(tree, needs, interior) + reserved(tree, interior),
				spare_count(&tree->spares, interior));
}

void mm__vma_tree_stock(struct mm__vma_tree *tree, struct mm__vma_spares *spares)
{
	for (int interior = 0; interior < 2; interior++) {
		struct mm__garbage *spare;

		while ((spare = get_spare(spares, interior)))
			put_spare(&tree->spares, interior, spare);
	}
}

int mm__vma_tree_reserve(struct mm__vma_tree *tree, struct mm__vma_budget *budget,
			 const struct mm__vma_needs *needs)
{
	unsigned int nodes[2];

	*budget = (struct mm__vma_budget){ 0, { 0, 0 } };
	for (int interior = 0; interior < 2; interior++) {
		nodes[interior] = nodes_for(tree, needs, interior);
		if (fill_up(&tree->spares, interior, nodes[interior] + reserved(tree, interior), 0))
			return ENOMEM;
	}
	for (int interior = 0; interior < 2; interior++) {
		budget->nodes[interior] = nodes[interior];
		set_reserved(tree, interior, reserved(tree, interior) + nodes[interior]);
	}
	budget->changes = needs->now + needs->later;
	return 0;
}

void mm__vma_tree_recycle(struct mm__vma_tree *tree, struct mm__garbage *retired)
{
	while (retired) {
		struct mm__vma_node *node = (struct mm__vma_node *)retired;

		retired = retired->next;
		mm__vma_node_free_detached(node);
		put_new_spare(&tree->spares, node->level, node);
	}
}

void mm__vma_tree_release(struct mm__vma_tree *tree, struct mm__vma_budget *budget)
{
	for (int interior = 0; interior < 2; interior++) {
		set_reserved(tree, interior, reserved(tree, interior) - budget->nodes[interior]);
		budget->nodes[interior] = 0;
	}
	budget->changes = 0;
}

void mm__vma_change(struct mm__vma_tree *tree, struct mm__vma_budget *budget)
{
	mm__check(budget->changes, "an operation changes the VMAs more often than it reserved for");
	budget->changes--;
	tree->budget = budget;
}

void *mm__vma_spare_take(struct mm__vma_tree *tree, bool interior)
{
	mm__check(tree->budget->nodes[interior] && tree->spares.first[interior],
		  "a change of the VMAs uses more nodes than were reserved");
	tree->budget->nodes[interior]--;
	set_reserved(tree, interior, reserved(tree, interior) - 1);
	return get_spare(&tree->spares, interior);
}

void mm__vma_spare_give(struct mm__vma_tree *tree, void *spare, bool interior)
{
	put_spare(&tree->spares, interior, spare);
	tree->budget->nodes[interior]++;
	set_reserved(tree, interior, reserved(tree, interior) + 1);
}

void mm__vma_spares_free(struct mm__vma_spares *spares)
{
	for (int interior = 0; interior < 2; interior++) {
		void *spare;

		while ((spare = get_spare(spares, interior)))
			mm__free(spare);
	}
}
