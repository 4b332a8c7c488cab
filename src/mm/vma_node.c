/* SPDX-License-Identifier: MIT */
#include "vma_node.h"

#include "memory.h"

#include <string.h>

struct border *mm__border_of(const struct mm__vma_tree *tree, uint64_t addr, uint64_t *low,
			     uint64_t *high)
{
	struct mm__vma_node *node = mm__root(tree);

	*low = 0;
	*high = UINT64_MAX;
	while (node && node->level) {
		const struct interior *interior = mm__interior(node);
		unsigned int i = mm__route(interior, addr);

		if (i)
			*low = interior->key[i - 1];
		if (i + 1 < node->count)
			*high = interior->key[i];
		node = mm__child(node, i);
	}
	return node ? mm__border(node) : NULL;
}

void mm__clear_slots(struct mm__vma_node *node, unsigned int n)
{
	if (!node->level) {
		/* release: as in mm__border_put() */
		for (unsigned int i = n; i < BORDER_SLOTS; i++)
			atomic_store_explicit(&mm__border(node)->start[i], UINT64_MAX,
					      memory_order_release);
	} else {
		for (unsigned int i = n ? n - 1 : 0; i < INTERIOR_SLOTS - 1; i++)
			mm__interior(node)->key[i] = UINT64_MAX;
	}
	node->count = n;
}

/* Moves mappings word by word, because readers may be looking. */
static void move_mappings(struct border *to, unsigned int at, const struct border *from,
			  unsigned int first, unsigned int n)
{
	struct mm__mapping m;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int slot = at <= first ? i : n - 1 - i;

		mm__border_get(from, first + slot, &m);
		mm__border_put(to, at + slot, &m);
	}
}

/*
 * The key of a node's first slot is not in the node, so it is not moved. Of two interior nodes one
 * is private, and no other thread writes the children of the other one. memmove() therefore
 * suffices here, although it is not atomic.
 */
static void move_slots(struct mm__vma_node *to, unsigned int at, const struct mm__vma_node *from,
		       unsigned int first, unsigned int n)
{
	if (!to->level) {
		move_mappings(mm__border(to), at, mm__border(from), first, n);
	} else {
		struct interior *a = mm__interior(to), *b = mm__interior(from);
		unsigned int skip = !at || !first;

		memmove((void *)&a->child[at], (void *)&b->child[first], n * sizeof(a->child[0]));
		memmove(&a->sum[at], &b->sum[first], n * sizeof(a->sum[0]));
		if (n > skip)
			memmove(&a->key[at + skip - 1], &b->key[first + skip - 1],
				(n - skip) * sizeof(a->key[0]));
	}
}

void mm__copy_slots(struct mm__vma_node *to, const struct mm__vma_node *from)
{
	move_slots(to, 0, from, 0, from->count);
	to->count = from->count;
}

void mm__open_slot(struct mm__vma_node *node, unsigned int i)
{
	move_slots(node, i + 1, node, i, node->count - i);
	node->count++;
}

void mm__close_slots(struct mm__vma_node *node, unsigned int i, unsigned int n)
{
	move_slots(node, i, node, i + n, node->count - i - n);
	mm__clear_slots(node, node->count - n);
}

void mm__shift_right(struct mm__vma_node *left, struct mm__vma_node *right, unsigned int n,
		     uint64_t *key)
{
	unsigned int rest = left->count - n;

	move_slots(right, n, right, 0, right->count);
	move_slots(right, 0, left, rest, n);
	if (left->level) {
		/* right may have been empty. It is not full yet, so the key has room. */
		if (right->count)
			mm__interior(right)->key[n - 1] = *key;
		*key = mm__interior(left)->key[rest - 1];
	} else {
		*key = mm__border_start(mm__border(right), 0);
	}
	right->count += n;
	mm__clear_slots(left, rest);
}

void mm__shift_left(struct mm__vma_node *left, struct mm__vma_node *right, unsigned int n,
		    uint64_t *key)
{
	unsigned int rest = right->count - n;

	move_slots(left, left->count, right, 0, n);
	if (left->level) {
		mm__interior(left)->key[left->count - 1] = *key;
		if (rest)
			*key = mm__interior(right)->key[n - 1];
	} else if (rest) {
		*key = mm__border_start(mm__border(right), n);
	}
	left->count += n;
	move_slots(right, 0, right, n, rest);
	mm__clear_slots(right, rest);
}

/* The bounds and the gap of one slot. A mapping has no gap. */
static struct sum slot_sum(const struct mm__vma_node *node, unsigned int i)
{
	struct mm__mapping m;

	if (node->level)
		return mm__interior(node)->sum[i];
	mm__border_get(mm__border(node), i, &m);
	return (struct sum){ m.start, m.end, 0 };
}

struct sum mm__node_sum(const struct mm__vma_node *node)
{
	struct sum all = { UINT64_MAX, 0, 0 };

	for (unsigned int i = 0; i < node->count; i++) {
		struct sum slot = slot_sum(node, i);

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

void mm__record_sum(struct mm__vma_node *node, unsigned int i, struct mm__vma_node *child)
{
	struct sum sum = mm__node_sum(child);

	mm__interior(node)->sum[i] = sum;
	if (!child->level)
		mm__border(child)->recorded = sum;
}

void mm__vma_node_free(struct mm__vma_node *node)
{
	if (node->level) {
		for (unsigned int i = 0; i < node->count; i++)
			mm__vma_node_free(mm__child(node, i));
	}
	mm__free(node);
}

void mm__vma_node_free_detached(struct mm__vma_node *node)
{
	for (unsigned int i = node->first_detached; i < node->end_detached; i++)
		mm__vma_node_free(mm__child(node, i));
}
