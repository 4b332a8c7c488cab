/* SPDX-License-Identifier: MIT */
/*
 * vma_node - the nodes of vma_tree: what is in one, how slots move between two, and where their
 * memory comes from and goes to.
 *
 * A border node has a slot for each mapping, an interior node one for each child, with the key that divides
 * it from the child before. What a reader compares is contiguous, and so is what it takes from there.
 * Keys beyond those in use are UINT64_MAX, so that a search does not depend on their number.
 *
 * The keys of an interior node never change once readers can see it; its children do, atomically, and its
 * sums, which only writers with the VMA tree lock read. The slots of a border node change in place: see vma_border.c.
 */
#ifndef MM_VMA_NODE_H
#define MM_VMA_NODE_H

#include "vma_tree.h"
#include "rcu.h"
#include "table_lock.h"

#include <stddef.h>

/* One more is a power of two for mm__search(), and so is the other, whose keys are one less. */
#define BORDER_SLOTS  15u
#define INTERIOR_SLOTS 64u

/* An edit in place adds so many slots at most: one for a hole in a mapping, one for a mapping. */
#define BORDER_RESERVE 2u

struct mm__vma_node {
	struct mm__garbage garbage; /* when retired; next also while it is spare */
	/* When retired: the children that left the tree together with the node. */
	uint32_t first_detached;
	uint32_t end_detached;
	uint32_t level; /* 0: a border node */
	uint32_t count; /* of slots in use */
};

/* The bounds of what is below a slot, and the greatest gap inside: see vma_tree.c, (F). */
struct sum {
	uint64_t lo;
	uint64_t hi;
	uint64_t gap;
};

static const struct sum mm__no_bounds = { UINT64_MAX, 0, UINT64_MAX };

struct border {
	struct mm__vma_node node;
	/* What readers read. */
	_Alignas(64) _Atomic(uint64_t) seq; /* odd: slots are being changed */
	_Atomic(uint64_t) start[BORDER_SLOTS];
	_Alignas(64) struct {
		_Atomic(uint64_t) end;
		_Atomic(struct mm__vma *) vma;
	} rest[BORDER_SLOTS];
	/* The rest is for writers. */
	_Alignas(64) struct mm__table_lock lock; /* of all but what the tree's lock protects, too */
	bool dead;                               /* replaced, and not in the tree any more */
	bool sparse;         /* few mappings are no reason to join it with another */
	uint16_t writer;     /* the number of the last one's thread */
	uint32_t strain;     /* high: different threads change it in turn */
	uint64_t last_start; /* what the last writer held */
	uint64_t last_end;
	uint64_t low; /* all between these keys, or less, is this border node's */
	uint64_t high;
	struct sum recorded; /* as in the slot of the parent */
	struct border *next_locked;
	uint64_t seen; /* the count when mm__vma_tree_tidy() looked, and the time */
	uint64_t seen_at;
	uint32_t too_strained; /* the strain at which it is divided; more where it could not be */
};

struct interior {
	struct mm__vma_node node;
	/* child[i] has what is below key[i], child[i + 1] the rest */
	_Alignas(64) uint64_t key[INTERIOR_SLOTS - 1];
	_Alignas(64) _Atomic(struct mm__vma_node *) child[INTERIOR_SLOTS];
	_Alignas(64) struct sum sum[INTERIOR_SLOTS];
};

static inline struct border *mm__border(const struct mm__vma_node *node)
{
	return (struct border *)node;
}

static inline struct interior *mm__interior(const struct mm__vma_node *node)
{
	return (struct interior *)node;
}

static inline struct mm__vma_node *mm__root(const struct mm__vma_tree *tree)
{
	/* Acquire [R2], for readers: pairs with [W2] in vma_tree.c. */
	return atomic_load_explicit(&tree->root, memory_order_acquire);
}

/* For the writer, who alone changes it. */
static inline struct mm__vma_node *mm__child(const struct mm__vma_node *node, unsigned int i)
{
	return atomic_load_explicit(&mm__interior(node)->child[i], memory_order_relaxed);
}

/* In a private node. */
static inline void mm__set_child(struct mm__vma_node *node, unsigned int i,
				 struct mm__vma_node *child)
{
	atomic_store_explicit(&mm__interior(node)->child[i], child, memory_order_relaxed);
}

static inline unsigned int mm__slots(const struct mm__vma_node *node)
{
	return node->level ? INTERIOR_SLOTS : BORDER_SLOTS;
}

/* How many slots a node uses at most before another is inserted with the lock. */
static inline unsigned int mm__full(const struct mm__vma_node *node)
{
	return node->level ? INTERIOR_SLOTS : BORDER_SLOTS - BORDER_RESERVE;
}

/* How many slots a node other than the root uses at least. */
static inline unsigned int mm__least(const struct mm__vma_node *node)
{
	return mm__slots(node) / 3;
}

/*
 * How many of 2 * half - 1 ascending keys are at most addr, which is not UINT64_MAX. Without a
 * branch: none is ever predicted wrong, and so a processor goes on to what comes after.
 */
static inline unsigned int mm__search(const uint64_t *key, unsigned int half, uint64_t addr)
{
	unsigned int i = 0;

	for (; half; half /= 2)
		i += half & -(unsigned int)(key[i + half - 1] <= addr);
	return i;
}

/* The child that has what is mapped at addr. */
static inline unsigned int mm__route(const struct interior *interior, uint64_t addr)
{
	return mm__search(interior->key, INTERIOR_SLOTS / 2, addr);
}

/*
 * The same for the root, whose count is on a line that the caller has loaded. Where it has few children, as
 * where a few threads have a border node each, a search of all keys takes longer than that of a border node.
 */
static inline unsigned int mm__route_root(const struct interior *root, uint64_t addr)
{
	return root->node.count <= 8 ? mm__search(root->key, 4, addr) : mm__route(root, addr);
}

/* acquire and release [L2], [L3]: see vma_border.c; for what is in a VMA, they are [R1] and [W1] */
static inline uint64_t mm__border_start(const struct border *border, unsigned int i)
{
	return atomic_load_explicit(&border->start[i], memory_order_acquire);
}

static inline void mm__border_get(const struct border *border, unsigned int i, struct mm__mapping *m)
{
	m->start = mm__border_start(border, i);
	m->end = atomic_load_explicit(&border->rest[i].end, memory_order_acquire);
	m->vma = atomic_load_explicit(&border->rest[i].vma, memory_order_acquire);
}

static inline void mm__border_put(struct border *border, unsigned int i, const struct mm__mapping *m)
{
	atomic_store_explicit(&border->start[i], m->start, memory_order_release);
	atomic_store_explicit(&border->rest[i].end, m->end, memory_order_release);
	atomic_store_explicit(&border->rest[i].vma, m->vma, memory_order_release);
}

/* How many mappings of the border node begin at addr or below. As mm__search(). */
static inline unsigned int mm__begun(const struct border *border, uint64_t addr)
{
	unsigned int i = 0;

	/* Loads that are atomic keep a compiler from seeing that it is worth while. */
#ifdef __GNUC__
#pragma GCC unroll 8
#endif
	for (unsigned int half = (BORDER_SLOTS + 1) / 2; half; half /= 2)
		i += half & -(unsigned int)(mm__border_start(border, i + half - 1) <= addr);
	return i;
}

/* The mapping of the border node that contains addr; by a writer, or by a reader that looks at seq. */
static inline bool mm__border_at(const struct border *border, uint64_t addr, struct mm__mapping *m)
{
	unsigned int i = mm__begun(border, addr);
	uint64_t end;

	if (!i)
		return false;
	end = atomic_load_explicit(&border->rest[i - 1].end, memory_order_acquire);
	if (end <= addr)
		return false;
	m->start = mm__border_start(border, i - 1);
	m->end = end;
	m->vma = atomic_load_explicit(&border->rest[i - 1].vma, memory_order_acquire);
	return true;
}

/* The first slot whose mapping ends above addr; the number of slots: there is none. */
static inline unsigned int mm__border_find(const struct border *border, uint64_t addr)
{
	unsigned int i = mm__begun(border, addr);
	struct mm__mapping m;

	if (!i)
		return 0;
	mm__border_get(border, i - 1, &m);
	return m.end > addr ? i - 1 : i;
}

/*
 * vma_border.c: border nodes that change in place, and their locks.
 */

/* The border node that addr leads to, between *low and *high. The tree is not empty. */
struct border *mm__border_of(const struct mm__vma_tree *tree, uint64_t addr, uint64_t *low,
			 uint64_t *high);

/* With the VMA tree lock: locks the border node until the lock is dropped, unless it is locked by that. */
void mm__border_lock(struct mm__vma_tree *tree, struct border *border);

/* Lists the mappings that end above addr, as a reader. */
void mm__border_list(const struct border *border, uint64_t addr, struct mm__vma_list *list);

/* With the VMA tree lock: records the sum of the border node's mappings in the border node, and returns it. */
struct sum mm__border_tighten(const struct mm__vma_tree *tree, struct border *border);

/* Records wider bounds, so that [start, end) can be unmapped in place. The border node is not locked. */
void mm__border_widen(struct border *border, uint64_t start, uint64_t end);

/* After one of the changes below: readers see it. */
void mm__border_end_change(struct mm__vma_edit *edit);

/* A private border node goes back to the spares. */
void mm__border_forget(struct mm__vma_tree *tree, struct border *border);
/* The border node border nodes the tree, and stays as it is now. It is locked, unless no other thread may change it. */
void mm__border_retire(struct mm__vma_tree *tree, struct border *border);
/* A private border node is to take the place of this one, which gets locked before it is copied. */
void mm__border_take_over(struct mm__vma_tree *tree, struct border *copy, struct border *border);

/* Changes of an edit in place. */
void mm__border_insert(struct mm__vma_edit *edit, const struct mm__mapping *m);
void mm__border_set(struct mm__vma_edit *edit, uint64_t start, const struct mm__mapping *m);
void mm__border_erase(struct mm__vma_edit *edit, uint64_t start, uint64_t end);

/* Whether a border node, or an interior node, has nothing below that is known to be there. */
static inline bool mm__maybe_empty(const struct sum *sum)
{
	return sum->lo > sum->hi;
}

/* vma_spares.c: a change begins that uses this budget. */
void mm__vma_change(struct mm__vma_tree *tree, struct mm__vma_budget *budget);

/*
 * vma_spares.c: memory for a node of the change at hand, of what was reserved, in which all keys are
 * UINT64_MAX; or what such a node was made of, with its keys made so again.
 */
void *mm__vma_spare_take(struct mm__vma_tree *tree, bool interior);
void mm__vma_spare_give(struct mm__vma_tree *tree, void *spare, bool interior);
void mm__vma_spares_free(struct mm__vma_spares *spares);

/* Frees what left the tree together with a retired node, when no thread reads it any more. */
void mm__vma_node_free_detached(struct mm__vma_node *node);

/* An empty node, of what was reserved. */
struct mm__vma_node *mm__vma_node_take(struct mm__vma_tree *tree, unsigned int level);

/* Gives back a private node. */
void mm__vma_node_give(struct mm__vma_tree *tree, struct mm__vma_node *node);

/* A private copy; the original is retired. */
struct mm__vma_node *mm__vma_node_replace(struct mm__vma_tree *tree, struct mm__vma_node *node);

/* Retires a node, and all below its children from first on and before end. */
void mm__vma_node_retire(struct mm__vma_tree *tree, struct mm__vma_node *node,
			  unsigned int first, unsigned int end);

/* The bounds and gap of one slot; a mapping has no gap. */
struct sum mm__slot_sum(const struct mm__vma_node *node, unsigned int i);

/* Those of all slots of a node. */
struct sum mm__node_sum(const struct mm__vma_node *node);

/* Records the sum of a child, which no thread changes meanwhile, in a slot. */
void mm__record_sum(struct mm__vma_node *node, unsigned int i, struct mm__vma_node *child);

/*
 * The rest is for private nodes. n slots from the end of left to the front of right, or from the
 * front of right to the end of left; *key divides the two.
 */
void mm__shift_right(struct mm__vma_node *left, struct mm__vma_node *right, unsigned int n,
		     uint64_t *key);
void mm__shift_left(struct mm__vma_node *left, struct mm__vma_node *right, unsigned int n,
		    uint64_t *key);

/*
 * Makes room for slot i, of an interior node not the first; or closes n slots from i on. A border node may be one
 * that readers see, while its sequence count is odd.
 */
void mm__open_slot(struct mm__vma_node *node, unsigned int i);
void mm__close_slots(struct mm__vma_node *node, unsigned int i, unsigned int n);

#endif
