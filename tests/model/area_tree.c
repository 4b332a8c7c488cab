/* SPDX-License-Identifier: MIT */
/*
 * A mapping is replaced in a leaf, or in both leaves of an inner node one after the other, while a
 * reader looks it up: it finds the old area or the new one, and sees it as it was when it was put in.
 * LEAVES: 1 or 2. AT_ONCE: what was replaced is freed without a grace period.
 */
#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef LEAVES
#define LEAVES 1
#endif

/* The checker knows no bytes of words; all that is moved is words. */
static inline void *move_words(void *to, const void *from, size_t size)
{
	uint64_t *a = to;
	const uint64_t *b = from;
	size_t n = size / sizeof(*a);

	if (a < b)
		for (size_t i = 0; i < n; i++)
			a[i] = b[i];
	else
		while (n--)
			a[n] = b[n];
	return to;
}
#define memmove move_words

#ifdef MODEL_GENMC
/* Not called. */
int posix_memalign(void **memory, size_t alignment, size_t size);
#define memset(memory, byte, size) ((void)(memory))
#endif

#include "mm/area_node.c"
#include "mm/area_spares.c"
#include "mm/area_tree.c"

#include "mm/area.h"

static struct mm__area_tree tree;
static struct mm__area_budget budget = { LEAVES, { LEAVES, 0 } };
static struct mm__area old_areas[LEAVES];
static struct mm__area new_areas[LEAVES];
static struct inner root;

static struct leaf *new_leaf(void)
{
	struct leaf *leaf = malloc(sizeof(*leaf));

	leaf->node.level = 0;
	leaf->node.count = 1;
	for (unsigned int i = 0; i < LEAF_SLOTS; i++)
		leaf->start[i] = UINT64_MAX;
	return leaf;
}

static uint64_t start_of(unsigned int i)
{
	return 100 * (i + 1);
}

static void plant(void)
{
	for (unsigned int i = 0; i < INNER_SLOTS - 1; i++)
		root.key[i] = UINT64_MAX;
	root.node.level = 1;
	root.node.count = LEAVES;
	for (unsigned int i = 0; i < LEAVES; i++) {
		struct leaf *leaf = new_leaf();

		atomic_init(&old_areas[i].prot, 1);
		leaf->start[0] = start_of(i);
		leaf->rest[0].end = start_of(i) + 10;
		leaf->rest[0].area = &old_areas[i];
		mm__set_child(&root.node, i, &leaf->node);
		root.sum[i] = mm__node_sum(&leaf->node);
		if (i)
			root.key[i - 1] = start_of(i);
	}
	atomic_init(&tree.root, LEAVES == 1 ? mm__child(&root.node, 0) : &root.node);
	atomic_init(&tree.levels, LEAVES);
	atomic_init(&tree.reserved[0], LEAVES);
	for (unsigned int i = 0; i < LEAVES; i++)
		put_spare(&tree.spares, false, &new_leaf()->node.garbage);
}

static void free_replaced(void)
{
#ifdef AT_ONCE
	/* It is one. */
	free(mm__area_tree_take_retired(&tree));
#endif
}

static void *reader(void *arg)
{
	struct mm__mapping m;
	bool found = mm__area_tree_at(&tree, start_of(LEAVES - 1) + 5, &m);

	(void)arg;
	assert(found);
	assert((m.area == &old_areas[LEAVES - 1] && m.end == start_of(LEAVES - 1) + 10) ||
	       (m.area == &new_areas[LEAVES - 1] && m.end == start_of(LEAVES - 1) + 20));
	assert(atomic_load_explicit(&m.area->prot, memory_order_relaxed) == 1);
	return NULL;
}

static void replace(unsigned int i)
{
	struct mm__mapping m = { start_of(i), start_of(i) + 20, &new_areas[i] };

	atomic_init(&new_areas[i].prot, 1);
	mm__area_tree_set(&tree, &budget, m.start, &m);
	free_replaced();
}

int main(void)
{
	pthread_t thread;

	plant();
	pthread_create(&thread, NULL, reader, NULL);
	for (unsigned int i = 0; i < LEAVES; i++)
		replace(i);
	pthread_join(thread, NULL);
	return 0;
}
