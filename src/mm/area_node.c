/* SPDX-License-Identifier: MIT */
#include "area_node.h"

#include "memory.h"

#include <string.h>

static void clear_from(struct mm__area_node *node, unsigned int n)
{
	if (!node->level) {
		/* release: as in mm__leaf_put() */
		for (unsigned int i = n; i < LEAF_SLOTS; i++)
			atomic_store_explicit(&mm__leaf(node)->start[i], UINT64_MAX,
					      memory_order_release);
	} else {
		for (unsigned int i = n ? n - 1 : 0; i < INNER_SLOTS - 1; i++)
			mm__inner(node)->key[i] = UINT64_MAX;
	}
	node->count = n;
}

/* Locked by the mm lock. */
static void init_leaf(struct mm__area_tree *tree, struct leaf *leaf)
{
	mm__table_lock_init(&leaf->lock);
	leaf->dead = false;
	leaf->sparse = false;
	leaf->writer = 0;
	leaf->strain = 0;
	leaf->too_strained = MM__STRAIN_SPLIT;
	atomic_init(&leaf->seq, 0);
	leaf->low = leaf->high = 0;
	leaf->recorded = (struct sum){ UINT64_MAX, 0, 0 };
	leaf->last_start = leaf->last_end = 0;
	leaf->seen = leaf->seen_at = 0;
	mm__leaf_lock(tree, leaf);
}

struct mm__area_node *mm__area_node_take(struct mm__area_tree *tree, unsigned int level)
{
	struct mm__area_node *node = mm__area_spare_take(tree, level);

	node->level = level;
	node->count = 0;
	if (!level)
		init_leaf(tree, mm__leaf(node));
	return node;
}

void mm__area_node_give(struct mm__area_tree *tree, struct mm__area_node *node)
{
	if (!node->level)
		mm__leaf_forget(tree, mm__leaf(node));
	clear_from(node, 0);
	mm__area_spare_give(tree, node, node->level);
}

/*
 * Moving slots.
 */

/* Readers may be looking, so it is done word by word. */
static void move_mappings(struct leaf *to, unsigned int at, const struct leaf *from,
			  unsigned int first, unsigned int n)
{
	struct mm__mapping m;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int slot = at <= first ? i : n - 1 - i;

		mm__leaf_get(from, first + slot, &m);
		mm__leaf_put(to, at + slot, &m);
	}
}

/*
 * The key of a first slot is not in the node, and neither goes nor comes. Of two inner nodes one is
 * private, and no other thread writes the children of the other: what memmove() does is as good as
 * atomic.
 */
static void move_slots(struct mm__area_node *to, unsigned int at, const struct mm__area_node *from,
		       unsigned int first, unsigned int n)
{
	if (!to->level) {
		move_mappings(mm__leaf(to), at, mm__leaf(from), first, n);
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

void mm__area_node_free_detached(struct mm__area_node *node)
{
	for (unsigned int i = node->first_detached; i < node->end_detached; i++)
		free_subtree(mm__child(node, i));
}

static void free_retired(struct mm__garbage *garbage)
{
	/* The garbage is the first member. */
	struct mm__area_node *node = (struct mm__area_node *)garbage;

	mm__area_node_free_detached(node);
	mm__free(node);
}

void mm__area_node_retire(struct mm__area_tree *tree, struct mm__area_node *node,
			  unsigned int first, unsigned int end)
{
	if (!node->level)
		mm__leaf_retire(tree, mm__leaf(node));
	node->first_detached = first;
	node->end_detached = end;
	node->garbage.free = first < end ? free_retired : NULL;
	node->garbage.next = tree->retired;
	tree->retired = &node->garbage;
}

struct mm__area_node *mm__area_node_replace(struct mm__area_tree *tree, struct mm__area_node *node)
{
	struct mm__area_node *copy = mm__area_node_take(tree, node->level);

	if (!node->level)
		mm__leaf_take_over(tree, mm__leaf(copy), mm__leaf(node));
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

void mm__close_slots(struct mm__area_node *node, unsigned int i, unsigned int n)
{
	move_slots(node, i, node, i + n, node->count - i - n);
	clear_from(node, node->count - n);
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
		*key = mm__leaf_start(mm__leaf(right), 0);
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
		*key = mm__leaf_start(mm__leaf(right), n);
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
	struct mm__mapping m;

	if (node->level)
		return mm__inner(node)->sum[i];
	mm__leaf_get(mm__leaf(node), i, &m);
	return (struct sum){ m.start, m.end, 0 };
}

struct sum mm__node_sum(const struct mm__area_node *node)
{
	struct sum all = { UINT64_MAX, 0, 0 };

	for (unsigned int i = 0; i < node->count; i++) {
		struct sum slot = mm__slot_sum(node, i);

		if (all.gap < slot.gap)
			all.gap = slot.gap;
		if (mm__maybe_empty(&slot))
			continue;
		if (mm__maybe_empty(&all))
			all.lo = slot.lo;
		else if (all.gap < slot.lo - all.hi)
			all.gap = slot.lo - all.hi;
		all.hi = slot.hi;
	}
	return all;
}

void mm__record_sum(struct mm__area_node *node, unsigned int i, struct mm__area_node *child)
{
	struct sum sum = mm__node_sum(child);

	mm__inner(node)->sum[i] = sum;
	if (!child->level)
		mm__leaf(child)->recorded = sum;
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
	mm__area_spares_free(&tree->spares);
	while ((node = tree->retired)) {
		tree->retired = node->next;
		free_retired(node);
	}
}
