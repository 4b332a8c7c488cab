/* SPDX-License-Identifier: MIT */
#include "page_cache.h"

#include "frame_supply.h"
#include "memory.h"

#include <errno.h>
#include <stdbool.h>

#define SLOT_BITS 6u
#define NR_SLOTS  (1u << SLOT_BITS)

struct mm__page_node {
	unsigned int shift; /* of an index, for this node's part of it; 0: the lowest level */
	_Atomic(uintptr_t) slots[NR_SLOTS]; /* nodes below; on the lowest level, frames */
};

static _Atomic(uintptr_t) *slot_of(struct mm__page_node *node, uint64_t index)
{
	return &node->slots[index >> node->shift & (NR_SLOTS - 1)];
}

static struct mm__page_node *load_node(_Atomic(uintptr_t) *slot)
{
	/* acquire: [CACHE-P2] */
	return (struct mm__page_node *)atomic_load_explicit(slot, memory_order_acquire);
}

static bool covers(const struct mm__page_node *root, uint64_t index)
{
	unsigned int bits = root->shift + SLOT_BITS;

	return bits >= 64 || index >> bits == 0;
}

static struct mm__page_node *find_border(struct mm__page_cache *cache, uint64_t index)
{
	/* acquire: [CACHE-P2] */
	struct mm__page_node *node = atomic_load_explicit(&cache->root, memory_order_acquire);

	if (!node || !covers(node, index))
		return NULL;
	while (node && node->shift)
		node = load_node(slot_of(node, index));
	return node;
}

struct mm__frame *mm__page_cache_find(struct mm__page_cache *cache, uint64_t index)
{
	struct mm__page_node *border = find_border(cache, index);

	if (!border)
		return NULL;
	/* acquire: [CACHE-P2] */
	return (struct mm__frame *)atomic_load_explicit(slot_of(border, index),
							memory_order_acquire);
}

static struct mm__page_node *new_node(unsigned int shift)
{
	struct mm__page_node *node = mm__allocate_zeroed(sizeof(*node));

	if (!node)
		return NULL;
	node->shift = shift;
	for (unsigned int i = 0; i < NR_SLOTS; i++)
		atomic_init(&node->slots[i], 0);
	return node;
}

/* Returns a root that covers index. NULL: no memory. */
static struct mm__page_node *grow_cache(struct mm__page_cache *cache, uint64_t index)
{
	/* relaxed: the caller is the only thread that stores the root */
	struct mm__page_node *root = atomic_load_explicit(&cache->root, memory_order_relaxed);

	while (!root || !covers(root, index)) {
		struct mm__page_node *above = new_node(root ? root->shift + SLOT_BITS : 0);

		if (!above)
			return NULL;
		if (root)
			atomic_init(&above->slots[0], (uintptr_t)root);
		/* release: [CACHE-P1] */
		atomic_store_explicit(&cache->root, above, memory_order_release);
		root = above;
	}
	return root;
}

int mm__page_cache_insert(struct mm__page_cache *cache, uint64_t index, struct mm__frame *frame)
{
	struct mm__page_node *node = grow_cache(cache, index);

	while (node && node->shift) {
		_Atomic(uintptr_t) *slot = slot_of(node, index);
		struct mm__page_node *below = load_node(slot);

		if (!below) {
			below = new_node(node->shift - SLOT_BITS);
			/* release: [CACHE-P1] */
			atomic_store_explicit(slot, (uintptr_t)below, memory_order_release);
		}
		node = below;
	}
	if (!node)
		return ENOMEM;
	/* release: [CACHE-P1] */
	atomic_store_explicit(slot_of(node, index), (uintptr_t)frame, memory_order_release);
	return 0;
}

static void free_node(struct mm__page_node *node)
{
	for (unsigned int i = 0; i < NR_SLOTS; i++) {
		/* relaxed: no other thread uses the cache */
		uintptr_t slot = atomic_load_explicit(&node->slots[i], memory_order_relaxed);

		if (slot && node->shift)
			free_node((struct mm__page_node *)slot);
		else if (slot)
			mm__frame_put((struct mm__frame *)slot);
	}
	mm__free(node);
}

void mm__page_cache_destroy(struct mm__page_cache *cache)
{
	struct mm__page_node *root = atomic_load_explicit(&cache->root, memory_order_relaxed);

	if (root)
		free_node(root);
}
