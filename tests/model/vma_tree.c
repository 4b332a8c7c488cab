/* SPDX-License-Identifier: MIT */
/*
 * The border nodes of the VMA tree, with the sources of the tree. A reader looks up a mapping,
 * which exists all the time, while a writer changes it:
 *
 * (nothing)	a writer with the lock of the tree replaces it: in one border node, or in both
 *		border nodes of an interior node one after the other
 * IN_PLACE	a writer replaces it in place
 * SHIFT	a writer inserts another mapping before it, in place, and erases that one again
 *
 * The reader finds the old VMA or the new one, with the contents that the writer inserted.
 *
 * BESIDE	two writers of one border node, which has a mapping of each: the first writer
 *		replaces its mapping in place, the second one with the lock of the tree. No change
 *		is lost. READER: a reader looks up the mapping with this number.
 * SPLIT	the same, but the second writer inserts a mapping, which divides the border node
 * JOIN		the same with two border nodes: the second writer erases a mapping of the first
 *		node, which joins it with the second node, which the first writer changes
 *
 * BORDERS: the number of border nodes, 1 or 2. AT_ONCE: replaced memory is freed without a grace
 * period. LOCKED: the reader does not try without the lock of the border node.
 */
#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef JOIN
#define BORDERS 2
#endif
#ifndef BORDERS
#define BORDERS 1
#endif

/* The checker cannot split a word into bytes. The tree only moves words. */
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
#define memset(memory, byte, size)  ((void)(memory))
#define __builtin_prefetch(address) ((void)(address))
#define __builtin_ia32_pause()      ((void)0)
#endif

#include "table_mutex.h"

#include "no_readers.h"

#include "mm/vma_node.c"
#include "mm/vma_spares.c"

#include "mm/vma_border.c"
#include "mm/vma_bounds.c"
#include "mm/vma_edit.c"
#include "mm/vma_lifetime.c"
#include "mm/vma_path.c"
#include "mm/vma_read.c"

#include "mm/vma_erase.c"
#include "mm/vma_insert.c"
#include "mm/vma_tidy.c"

#include "mm/vma.h"

MMRANGE__THREAD_LOCAL struct mm__rcu_thread *mm__rcu_self;
struct mm__rcu_epoch mm__rcu_epoch;

#ifdef SPLIT
#define MAPPINGS (BORDER_SLOTS - BORDER_RESERVE)
enum { SPARE_BORDERS = 2, SPARE_INTERIORS = 1 };
#elif defined(JOIN)
#define MAPPINGS (BORDER_SLOTS / 3)
enum { SPARE_BORDERS = 2, SPARE_INTERIORS = 1 };
#else
#ifdef BESIDE
#define MAPPINGS 2u
#else
#define MAPPINGS 1u
#define READER   0
#endif
enum { SPARE_BORDERS = BORDERS, SPARE_INTERIORS = 0 };
#endif

static struct mm__vma_tree tree;
static struct mm__vma_budget budget = { BORDERS, { SPARE_BORDERS, SPARE_INTERIORS } };
static struct mm__vma old_vmas[BORDERS][MAPPINGS];
static struct mm__vma new_vmas[BORDERS][MAPPINGS];
static struct interior root;

/* A reader may load a whole slot before it finds that the border node changes. */
static struct border *new_border(void)
{
	struct border *border = malloc(sizeof(*border));

	for (unsigned int i = 0; i < BORDER_SLOTS; i++) {
		atomic_init(&border->start[i], UINT64_MAX);
		atomic_init(&border->rest[i].end, UINT64_MAX);
		atomic_init(&border->rest[i].vma, NULL);
	}
	return border;
}

static uint64_t start_of(unsigned int border, unsigned int i)
{
	return 100 * (border + 1) + 30 * i;
}

static struct border *plant_border(unsigned int l)
{
	struct border *border = new_border();

	border->node.level = 0;
	border->node.count = MAPPINGS;
	mm__table_lock_init(&border->lock);
	border->dead = border->sparse = false;
	border->writer = 0;
	border->strain = 0;
	border->too_strained = MM__STRAIN_SPLIT;
	atomic_init(&border->seq, 0);
	border->low = l ? start_of(l, 0) - 10 : 0;
	border->high = l + 1 < BORDERS ? start_of(l + 1, 0) - 10 : UINT64_MAX;
	border->last_start = border->last_end = border->seen = border->seen_at = 0;
	for (unsigned int i = 0; i < MAPPINGS; i++) {
		atomic_init(&old_vmas[l][i].prot, 1);
		atomic_init(&border->start[i], start_of(l, i));
		atomic_init(&border->rest[i].end, start_of(l, i) + 10);
		atomic_init(&border->rest[i].vma, &old_vmas[l][i]);
	}
	border->recorded = mm__node_sum(&border->node);
	return border;
}

static void init_inner(struct interior *inner)
{
	for (unsigned int i = 0; i < INTERIOR_SLOTS - 1; i++)
		inner->key[i] = UINT64_MAX;
}

static struct interior *new_inner(void)
{
	struct interior *inner = malloc(sizeof(*inner));

	init_inner(inner);
	return inner;
}

static void plant(void)
{
	init_inner(&root);
	root.node.level = 1;
	root.node.count = BORDERS;
	for (unsigned int i = 0; i < BORDERS; i++) {
		struct border *border = plant_border(i);

		mm__set_child(&root.node, i, &border->node);
		root.sum[i] = border->recorded;
		if (i)
			root.key[i - 1] = border->low;
	}
	atomic_init(&tree.root, BORDERS == 1 ? mm__child(&root.node, 0) : &root.node);
	atomic_init(&tree.levels, BORDERS);
	atomic_init(&tree.reserved[0], SPARE_BORDERS);
	atomic_init(&tree.reserved[1], SPARE_INTERIORS);
	for (int i = 0; i < SPARE_BORDERS; i++)
		put_spare(&tree.spares, false, &new_border()->node.garbage);
	for (int i = 0; i < SPARE_INTERIORS; i++)
		put_spare(&tree.spares, true, &new_inner()->node.garbage);
}

static void free_replaced(void)
{
#ifdef AT_ONCE
	/* It is a single node. */
	free(mm__vma_tree_take_retired(&tree));
#endif
}

/* Looks up a mapping of the last border node. */
static bool find(unsigned int i, struct mm__mapping *m)
{
	uint64_t addr = start_of(BORDERS - 1, i) + 5;

#ifdef LOCKED
	return look_locked(descend(&tree, addr), addr, false, m);
#else
	return mm__vma_tree_at(&tree, addr, m);
#endif
}

static bool is_new(unsigned int border, unsigned int i, const struct mm__mapping *m)
{
	return m->vma == &new_vmas[border][i] && m->end == start_of(border, i) + 20;
}

static void check(unsigned int border, unsigned int i, const struct mm__mapping *m)
{
	assert(m->start == start_of(border, i));
	assert((m->vma == &old_vmas[border][i] && m->end == start_of(border, i) + 10) ||
	       is_new(border, i, m));
	assert(atomic_load_explicit(&m->vma->prot, memory_order_relaxed) == 1);
}

#ifdef READER
static void *reader(void *arg)
{
	struct mm__mapping m;
	bool found = find(READER, &m);

	(void)arg;
	assert(found);
	check(BORDERS - 1, READER, &m);
	return NULL;
}
#endif

static void set(struct mm__vma_edit *edit, unsigned int border, unsigned int i)
{
	struct mm__mapping m = { start_of(border, i), start_of(border, i) + 20,
				 &new_vmas[border][i] };

	atomic_init(&new_vmas[border][i].prot, 1);
	mm__vma_tree_set(edit, m.start, &m);
}

#if defined(BESIDE) || defined(SPLIT) || defined(JOIN) || defined(IN_PLACE) || defined(SHIFT)
static void begin_in_place(struct mm__vma_edit *edit, uint64_t start, uint64_t end)
{
	bool begun = mm__vma_edit_in_place(edit, &tree, start, end, 1, false);

	assert(begun);
}
#endif

#if defined(BESIDE) || defined(SPLIT) || defined(JOIN) || defined(IN_PLACE)
static void replace_in_place(unsigned int border, unsigned int i)
{
	struct mm__vma_edit edit;

	begin_in_place(&edit, start_of(border, i), start_of(border, i) + 20);
	set(&edit, border, i);
	mm__vma_edit_end(&edit);
}
#endif

#if !defined(IN_PLACE) && !defined(SHIFT)
static void begin_locked(struct mm__vma_edit *edit, uint64_t start, uint64_t end)
{
	*edit = (struct mm__vma_edit){ .tree = NULL };
	mm__vma_edit_locked(edit, &tree, &budget, start, end);
}

static void end_locked(struct mm__vma_edit *edit)
{
	mm__vma_edit_end(edit);
	free_replaced();
}
#endif

#if !defined(IN_PLACE) && !defined(SHIFT) && !defined(SPLIT) && !defined(JOIN)
static void replace_locked(unsigned int border, unsigned int i)
{
	struct mm__vma_edit edit;

	begin_locked(&edit, start_of(border, i), start_of(border, i) + 20);
	set(&edit, border, i);
	end_locked(&edit);
}
#endif

#if defined(BESIDE) || defined(SPLIT) || defined(JOIN)
static void *beside(void *arg)
{
	(void)arg;
	replace_in_place(BORDERS - 1, 0);
	return NULL;
}

/* Whether the mapping is the new one. It exists in any case. */
static bool find_new(unsigned int i)
{
	struct mm__mapping m;
	bool found = find(i, &m);

	assert(found);
	check(BORDERS - 1, i, &m);
	return is_new(BORDERS - 1, i, &m);
}
#endif

#if defined(SPLIT)
static struct mm__vma other;

static void change(void)
{
	uint64_t start = start_of(0, 0) + 25;
	struct mm__mapping m = { start, start + 3, &other };
	struct mm__vma_edit edit;
	pthread_t thread;
	bool found;

	pthread_create(&thread, NULL, beside, NULL);
	begin_locked(&edit, m.start, m.end);
	mm__vma_tree_insert(&edit, &m);
	end_locked(&edit);
	pthread_join(thread, NULL);
	for (unsigned int i = 0; i < MAPPINGS; i++)
		assert(find_new(i) == !i);
	found = mm__vma_tree_at(&tree, start, &m);
	assert(found && m.vma == &other);
	assert(mm__root(&tree)->level == 1);
}
#elif defined(JOIN)
static void change(void)
{
	uint64_t start = start_of(0, MAPPINGS - 1);
	struct mm__vma_edit edit;
	struct mm__mapping m;
	pthread_t thread;

	pthread_create(&thread, NULL, beside, NULL);
	begin_locked(&edit, start, start + 10);
	mm__vma_tree_erase(&edit, start);
	end_locked(&edit);
	pthread_join(thread, NULL);
	for (unsigned int i = 0; i < MAPPINGS; i++)
		assert(find_new(i) == !i);
	assert(!mm__vma_tree_at(&tree, start, &m));
	assert(!mm__root(&tree)->level);
}
#elif defined(BESIDE)
static void change(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, beside, NULL);
	replace_locked(BORDERS - 1, 1);
	pthread_join(thread, NULL);
	assert(find_new(0) && find_new(1));
}
#elif defined(SHIFT)
static struct mm__vma other;

static void change(void)
{
	uint64_t start = start_of(BORDERS - 1, 0);
	struct mm__mapping m = { start - 5, start - 3, &other };
	struct mm__vma_edit edit;

	atomic_init(&other.prot, 2);
	begin_in_place(&edit, m.start, m.end);
	mm__vma_tree_insert(&edit, &m);
	mm__vma_edit_end(&edit);
	begin_in_place(&edit, m.start, m.end);
	mm__vma_tree_erase(&edit, m.start);
	mm__vma_edit_end(&edit);
}
#else
static void change(void)
{
	for (unsigned int i = 0; i < BORDERS; i++) {
#ifdef IN_PLACE
		replace_in_place(i, 0);
#else
		replace_locked(i, 0);
#endif
	}
}
#endif

int main(void)
{
#ifdef READER
	pthread_t thread;
#endif

	plant();
#ifdef READER
	pthread_create(&thread, NULL, reader, NULL);
#endif
	change();
#ifdef READER
	pthread_join(thread, NULL);
#endif
	return 0;
}
