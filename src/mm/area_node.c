/* SPDX-License-Identifier: MIT */
#include "area_node.h"

#include "lock.h"
#include "memory.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define LINE 64u

/*
 * Memory
 */

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

static struct mm__garbage *get_spare(struct mm__area_spares *spares, bool inner)
{
	struct mm__garbage *spare = spares->first[inner];

	if (!spare)
		return NULL;
	spares->first[inner] = spare->next;
	atomic_store_explicit(&spares->count[inner], spare_count(spares, inner) - 1,
			      memory_order_relaxed);
	return spare;
}

/*
 * Allocates until there are n, with those that others have. All keys of a spare are UINT64_MAX; and
 * all of it has just been written, so that who fills it under a lock finds it in the cache.
 */
static int fill_up(struct mm__area_spares *spares, bool inner, unsigned int n, unsigned int others)
{
	while (spare_count(spares, inner) + others < n) {
		void *spare = mm__allocate(LINE, node_size(inner));

		if (!spare)
			return ENOMEM;
		memset(spare, 0xff, node_size(inner));
		put_spare(spares, inner, spare);
	}
	return 0;
}

/* How many levels a tree of so many mappings has at most. */
static unsigned int most_levels(uint64_t mappings)
{
	uint64_t least = 2 * (LEAF_SLOTS / 3); /* in a tree of one level more */
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

	if (!inner)
		return 2 * (needs->now + needs->later);
	return inners_for(needs->now, levels + needs->now / 16) +
	       (needs->later ? inners_for(needs->later, most_levels(needs->most)) : 0);
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

/* The change at hand has taken a node, or given one back. */
static void spend(struct mm__area_tree *tree, bool inner)
{
	mm__check(tree->budget->nodes[inner] && tree->spares.first[inner],
		  "a change of the areas uses more nodes than were reserved");
	tree->budget->nodes[inner]--;
	set_reserved(tree, inner, reserved(tree, inner) - 1);
}

static void unspend(struct mm__area_tree *tree, bool inner)
{
	tree->budget->nodes[inner]++;
	set_reserved(tree, inner, reserved(tree, inner) + 1);
}

static void clear_from(struct mm__area_node *node, unsigned int n)
{
	if (!node->level) {
		for (unsigned int i = n; i < LEAF_SLOTS; i++)
			mm__leaf(node)->start[i] = UINT64_MAX;
	} else {
		for (unsigned int i = n ? n - 1 : 0; i < INNER_SLOTS - 1; i++)
			mm__inner(node)->key[i] = UINT64_MAX;
	}
	node->count = n;
}

struct mm__area_node *mm__area_node_take(struct mm__area_tree *tree, unsigned int level)
{
	struct mm__area_node *node;

	spend(tree, level);
	node = (void *)get_spare(&tree->spares, level);
	node->level = level;
	node->count = 0;
	return node;
}

void mm__area_node_give(struct mm__area_tree *tree, struct mm__area_node *node)
{
	clear_from(node, 0);
	put_spare(&tree->spares, node->level, &node->garbage);
	unspend(tree, node->level);
}

/*
 * Moving slots. The children of a private node are not shared, and nobody else writes those of the
 * other: what memmove() does is as good as atomic.
 */

/* The key of a first slot is not in the node, and neither goes nor comes. */
static void move_slots(struct mm__area_node *to, unsigned int at, const struct mm__area_node *from,
		       unsigned int first, unsigned int n)
{
	if (!to->level) {
		struct leaf *a = mm__leaf(to), *b = mm__leaf(from);

		memmove(&a->start[at], &b->start[first], n * sizeof(a->start[0]));
		memmove(&a->rest[at], &b->rest[first], n * sizeof(a->rest[0]));
	} else {
		struct inner *a = mm__inner(to), *b = mm__inner(from);
		unsigned int skip = !at || !first;

		memmove((void *)&a->child[at], (void *)&b->child[first], n * sizeof(a->child[0]));
		memmove(&a->sum[at], &b->sum[first], n * sizeof(a->sum[0]));
		if (n > skip)
			memmove(&a->key[at + skip - 1], &b->key[first + skip - 1],
				(n - skip) * sizeof(a->key[0]));
	}
}

static void free_subtree(struct mm__area_node *node)
{
	if (node->level) {
		for (unsigned int i = 0; i < node->count; i++)
			free_subtree(mm__child(node, i));
	}
	mm__free(node);
}

static void free_retired(struct mm__garbage *garbage)
{
	/* The garbage is the first member. */
	struct mm__area_node *node = (struct mm__area_node *)garbage;

	for (unsigned int i = node->first_detached; i < node->end_detached; i++)
		free_subtree(mm__child(node, i));
	mm__free(node);
}

void mm__area_node_retire(struct mm__area_tree *tree, struct mm__area_node *node,
			  unsigned int first, unsigned int end)
{
	node->first_detached = first;
	node->end_detached = end;
	node->garbage.free = first < end ? free_retired : NULL;
	node->garbage.next = tree->retired;
	tree->retired = &node->garbage;
}

struct mm__area_node *mm__area_node_replace(struct mm__area_tree *tree, struct mm__area_node *node)
{
	struct mm__area_node *copy = mm__area_node_take(tree, node->level);

	move_slots(copy, 0, node, 0, node->count);
	copy->count = node->count;
	mm__area_node_retire(tree, node, 0, 0);
	return copy;
}

void mm__open_slot(struct mm__area_node *node, unsigned int i)
{
	move_slots(node, i + 1, node, i, node->count - i);
	node->count++;
}

void mm__close_slot(struct mm__area_node *node, unsigned int i)
{
	move_slots(node, i, node, i + 1, node->count - i - 1);
	clear_from(node, node->count - 1);
}

void mm__shift_right(struct mm__area_node *left, struct mm__area_node *right, unsigned int n,
		     uint64_t *key)
{
	unsigned int rest = left->count - n;

	move_slots(right, n, right, 0, right->count);
	move_slots(right, 0, left, rest, n);
	if (left->level) {
		/* right may have been empty, and full is not before the slots are all used. */
		if (right->count)
			mm__inner(right)->key[n - 1] = *key;
		*key = mm__inner(left)->key[rest - 1];
	} else {
		*key = mm__leaf(right)->start[0];
	}
	right->count += n;
	clear_from(left, rest);
}

void mm__shift_left(struct mm__area_node *left, struct mm__area_node *right, unsigned int n,
		    uint64_t *key)
{
	unsigned int rest = right->count - n;

	move_slots(left, left->count, right, 0, n);
	if (left->level) {
		mm__inner(left)->key[left->count - 1] = *key;
		if (rest)
			*key = mm__inner(right)->key[n - 1];
	} else if (rest) {
		*key = mm__leaf(right)->start[n];
	}
	left->count += n;
	move_slots(right, 0, right, n, rest);
	clear_from(right, rest);
}

/*
 * Sums
 */

struct sum mm__slot_sum(const struct mm__area_node *node, unsigned int i)
{
	if (node->level)
		return mm__inner(node)->sum[i];
	return (struct sum){ mm__leaf(node)->start[i], mm__leaf(node)->rest[i].end, 0 };
}

struct sum mm__node_sum(const struct mm__area_node *node)
{
	struct sum all = mm__slot_sum(node, 0);

	for (unsigned int i = 1; i < node->count; i++) {
		struct sum slot = mm__slot_sum(node, i);
		uint64_t between = slot.lo - all.hi;

		if (all.gap < between)
			all.gap = between;
		if (all.gap < slot.gap)
			all.gap = slot.gap;
		all.hi = slot.hi;
	}
	return all;
}

/*
 * The life of a tree
 */

void mm__area_tree_init(struct mm__area_tree *tree)
{
	memset(tree, 0, sizeof(*tree));
}

void mm__area_tree_destroy(struct mm__area_tree *tree)
{
	struct mm__area_node *root = atomic_load_explicit(&tree->root, memory_order_relaxed);
	struct mm__garbage *node;

	if (root)
		free_subtree(root);
	while ((node = get_spare(&tree->spares, false)) || (node = get_spare(&tree->spares, true)))
		mm__free(node);
	while ((node = tree->retired)) {
		tree->retired = node->next;
		free_retired(node);
	}
}
