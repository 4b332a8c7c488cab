/* SPDX-License-Identifier: MIT */
#include "area_node.h"

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

/*
 * A change replaces or makes at most two nodes on a level, and one as a root. The tree gets at most
 * one level more, and one more for every eight insertions: a root that is new, or a leaf that was
 * divided, is not full before it has got more than that. Nor has it ever more levels than so many
 * mappings can have, by (E) in area_tree.c; without that, what many changes need would grow with the
 * square of their number.
 */
static unsigned int leaves_for(unsigned int changes)
{
	return 2 * changes;
}

static unsigned int inners_for(const struct mm__area_tree *tree, unsigned int changes,
			       unsigned int most)
{
	unsigned int levels = atomic_load_explicit(&tree->levels, memory_order_relaxed);
	unsigned int more = changes / 8;

	if (levels > most || more > most - levels)
		more = levels > most ? 0 : most - levels;
	return changes * (2 * more + (levels ? 2 * levels - 1 : 0));
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

void mm__area_tree_preload(const struct mm__area_tree *tree, unsigned int changes,
			   struct mm__area_spares *spares)
{
	const struct mm__area_spares *has = &tree->spares;

	memset(spares, 0, sizeof(*spares));
	if (!fill_up(spares, false, leaves_for(changes), spare_count(has, false)))
		fill_up(spares, true, inners_for(tree, changes, UINT_MAX), spare_count(has, true));
}

void mm__area_tree_stock(struct mm__area_tree *tree, struct mm__area_spares *spares)
{
	for (int inner = 0; inner < 2; inner++) {
		struct mm__garbage *spare;

		while ((spare = get_spare(spares, inner)))
			put_spare(&tree->spares, inner, spare);
	}
}

int mm__area_tree_reserve(struct mm__area_tree *tree, unsigned int changes)
{
	if (fill_up(&tree->spares, false, leaves_for(changes), 0))
		return ENOMEM;
	return fill_up(&tree->spares, true,
		       inners_for(tree, changes, most_levels(tree->count + changes)), 0);
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
	struct mm__area_node *node = (void *)get_spare(&tree->spares, level);

	node->level = level;
	node->count = 0;
	return node;
}

void mm__area_node_give(struct mm__area_tree *tree, struct mm__area_node *node)
{
	clear_from(node, 0);
	put_spare(&tree->spares, node->level, &node->garbage);
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

struct mm__area_node *mm__area_node_replace(struct mm__area_tree *tree, struct mm__area_node *node)
{
	struct mm__area_node *copy = mm__area_node_take(tree, node->level);

	move_slots(copy, 0, node, 0, node->count);
	copy->count = node->count;
	node->garbage.free = NULL;
	node->garbage.next = tree->retired;
	tree->retired = &node->garbage;
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

static void free_subtree(struct mm__area_node *node)
{
	if (node->level) {
		for (unsigned int i = 0; i < node->count; i++)
			free_subtree(mm__child(node, i));
	}
	mm__free(node);
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
		mm__free(node);
	}
}
