/* SPDX-License-Identifier: MIT */
/*
 * area_node - the nodes of area_tree: what is in one, how slots move between two, and where their
 * memory comes from and goes to.
 *
 * A leaf has a slot for each mapping, an inner node one for each child, with the key that divides
 * it from the child before. What a reader compares is contiguous, and so is what it takes from there.
 * Keys beyond those in use are UINT64_MAX, so that a search does not depend on their number.
 *
 * The keys of an inner node never change once readers can see it; its children do, atomically, and its
 * sums, which only writers with the mm lock read. The slots of a leaf change in place: see area_leaf.c.
 */
#ifndef MM_AREA_NODE_H
#define MM_AREA_NODE_H

#include "area_tree.h"
#include "rcu.h"
#include "table_lock.h"

#include <stddef.h>

/* One more is a power of two for mm__search(), and so is the other, whose keys are one less. */
#define LEAF_SLOTS  15u
#define INNER_SLOTS 64u

/* An edit in place adds so many slots at most: one for a hole in a mapping, one for a mapping. */
#define LEAF_RESERVE 2u

struct mm__area_node {
	struct mm__garbage garbage; /* when retired; next also while it is spare */
	/* When retired: the children that left the tree together with the node. */
	uint32_t first_detached;
	uint32_t end_detached;
	uint32_t level; /* 0: a leaf */
	uint32_t count; /* of slots in use */
};

/* The bounds of what is below a slot, and the greatest gap inside: see area_tree.c, (F). */
struct sum {
	uint64_t lo;
	uint64_t hi;
	uint64_t gap;
};

static const struct sum mm__no_bounds = { UINT64_MAX, 0, UINT64_MAX };

struct leaf {
	struct mm__area_node node;
	/* What readers read. */
	_Alignas(64) _Atomic(uint64_t) seq; /* odd: slots are being changed */
	_Atomic(uint64_t) start[LEAF_SLOTS];
	_Alignas(64) struct {
		_Atomic(uint64_t) end;
		_Atomic(struct mm__area *) area;
	} rest[LEAF_SLOTS];
	/* The rest is for writers. */
	_Alignas(64) struct mm__table_lock lock; /* of all but what the tree's lock protects, too */
	bool dead;                               /* replaced, and not in the tree any more */
	bool sparse;         /* few mappings are no reason to join it with another */
	uint16_t writer;     /* the number of the last one's cpu */
	uint32_t strain;     /* high: different threads change it in turn */
	uint64_t last_start; /* what the last writer held */
	uint64_t last_end;
	uint64_t low; /* all between these keys, or less, is this leaf's */
	uint64_t high;
	struct sum recorded; /* as in the slot of the parent */
	struct leaf *next_locked;
	uint64_t seen; /* the count when mm__area_tree_tidy() looked, and the time */
	uint64_t seen_at;
	uint32_t too_strained; /* the strain at which it is divided; more where it could not be */
};

struct inner {
	struct mm__area_node node;
	/* child[i] has what is below key[i], child[i + 1] the rest */
	_Alignas(64) uint64_t key[INNER_SLOTS - 1];
	_Alignas(64) _Atomic(struct mm__area_node *) child[INNER_SLOTS];
	_Alignas(64) struct sum sum[INNER_SLOTS];
};

static inline struct leaf *mm__leaf(const struct mm__area_node *node)
{
	return (struct leaf *)node;
}

static inline struct inner *mm__inner(const struct mm__area_node *node)
{
	return (struct inner *)node;
}

static inline struct mm__area_node *mm__root(const struct mm__area_tree *tree)
{
	/* Acquire [R2], for readers: pairs with [W2] in area_tree.c. */
	return atomic_load_explicit(&tree->root, memory_order_acquire);
}

/* For the writer, who alone changes it. */
static inline struct mm__area_node *mm__child(const struct mm__area_node *node, unsigned int i)
{
	return atomic_load_explicit(&mm__inner(node)->child[i], memory_order_relaxed);
}

/* In a private node. */
static inline void mm__set_child(struct mm__area_node *node, unsigned int i,
				 struct mm__area_node *child)
{
	atomic_store_explicit(&mm__inner(node)->child[i], child, memory_order_relaxed);
}

static inline unsigned int mm__slots(const struct mm__area_node *node)
{
	return node->level ? INNER_SLOTS : LEAF_SLOTS;
}

/* How many slots a node uses at most before another is inserted with the lock. */
static inline unsigned int mm__full(const struct mm__area_node *node)
{
	return node->level ? INNER_SLOTS : LEAF_SLOTS - LEAF_RESERVE;
}

/* How many slots a node other than the root uses at least. */
static inline unsigned int mm__least(const struct mm__area_node *node)
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
static inline unsigned int mm__route(const struct inner *inner, uint64_t addr)
{
	return mm__search(inner->key, INNER_SLOTS / 2, addr);
}

/*
 * The same for the root, whose count is on a line that the caller has loaded. Where it has few children, as
 * where a few threads have a leaf each, a search of all keys takes longer than that of a leaf.
 */
static inline unsigned int mm__route_root(const struct inner *root, uint64_t addr)
{
	return root->node.count <= 8 ? mm__search(root->key, 4, addr) : mm__route(root, addr);
}

/* acquire and release [L2], [L3]: see area_leaf.c; for what is in an area, they are [R1] and [W1] */
static inline uint64_t mm__leaf_start(const struct leaf *leaf, unsigned int i)
{
	return atomic_load_explicit(&leaf->start[i], memory_order_acquire);
}

static inline void mm__leaf_get(const struct leaf *leaf, unsigned int i, struct mm__mapping *m)
{
	m->start = mm__leaf_start(leaf, i);
	m->end = atomic_load_explicit(&leaf->rest[i].end, memory_order_acquire);
	m->area = atomic_load_explicit(&leaf->rest[i].area, memory_order_acquire);
}

static inline void mm__leaf_put(struct leaf *leaf, unsigned int i, const struct mm__mapping *m)
{
	atomic_store_explicit(&leaf->start[i], m->start, memory_order_release);
	atomic_store_explicit(&leaf->rest[i].end, m->end, memory_order_release);
	atomic_store_explicit(&leaf->rest[i].area, m->area, memory_order_release);
}

/* How many mappings of the leaf begin at addr or below. As mm__search(). */
static inline unsigned int mm__begun(const struct leaf *leaf, uint64_t addr)
{
	unsigned int i = 0;

	/* Loads that are atomic keep a compiler from seeing that it is worth while. */
#ifdef __GNUC__
#pragma GCC unroll 8
#endif
	for (unsigned int half = (LEAF_SLOTS + 1) / 2; half; half /= 2)
		i += half & -(unsigned int)(mm__leaf_start(leaf, i + half - 1) <= addr);
	return i;
}

/* The mapping of the leaf that contains addr; by a writer, or by a reader that looks at seq. */
static inline bool mm__leaf_at(const struct leaf *leaf, uint64_t addr, struct mm__mapping *m)
{
	unsigned int i = mm__begun(leaf, addr);
	uint64_t end;

	if (!i)
		return false;
	end = atomic_load_explicit(&leaf->rest[i - 1].end, memory_order_acquire);
	if (end <= addr)
		return false;
	m->start = mm__leaf_start(leaf, i - 1);
	m->end = end;
	m->area = atomic_load_explicit(&leaf->rest[i - 1].area, memory_order_acquire);
	return true;
}

/* The first slot whose mapping ends above addr; the number of slots: there is none. */
static inline unsigned int mm__leaf_find(const struct leaf *leaf, uint64_t addr)
{
	unsigned int i = mm__begun(leaf, addr);
	struct mm__mapping m;

	if (!i)
		return 0;
	mm__leaf_get(leaf, i - 1, &m);
	return m.end > addr ? i - 1 : i;
}

/*
 * area_leaf.c: leaves that change in place, and their locks.
 */

/* The leaf that addr leads to, between *low and *high. The tree is not empty. */
struct leaf *mm__leaf_of(const struct mm__area_tree *tree, uint64_t addr, uint64_t *low,
			 uint64_t *high);

/* With the mm lock: locks the leaf until the lock is dropped, unless it is locked by that. */
void mm__leaf_lock(struct mm__area_tree *tree, struct leaf *leaf);

/* Lists the mappings that end above addr, as a reader. */
void mm__leaf_list(const struct leaf *leaf, uint64_t addr, struct mm__area_list *list);

/* With the mm lock: records the sum of the leaf's mappings in the leaf, and returns it. */
struct sum mm__leaf_tighten(const struct mm__area_tree *tree, struct leaf *leaf);

/* The same without any bounds, so that whatever can be unmapped in place is. The leaf is not locked. */
void mm__leaf_widen(struct leaf *leaf);

/* A private leaf goes back to the spares. */
void mm__leaf_forget(struct mm__area_tree *tree, struct leaf *leaf);
/* The leaf leaves the tree, and stays as it is now. It is locked, unless no other thread may change it. */
void mm__leaf_retire(struct mm__area_tree *tree, struct leaf *leaf);
/* A private leaf is to take the place of this one, which gets locked before it is copied. */
void mm__leaf_take_over(struct mm__area_tree *tree, struct leaf *copy, struct leaf *leaf);

/* Changes of an edit in place. */
void mm__leaf_insert(struct mm__area_edit *edit, const struct mm__mapping *m);
void mm__leaf_set(struct mm__area_edit *edit, uint64_t start, const struct mm__mapping *m);
void mm__leaf_erase(struct mm__area_edit *edit, uint64_t start, uint64_t end);

/* Whether a leaf, or an inner node, has nothing below that is known to be there. */
static inline bool mm__maybe_empty(const struct sum *sum)
{
	return sum->lo > sum->hi;
}

/* area_spares.c: a change begins that uses this budget. */
void mm__area_change(struct mm__area_tree *tree, struct mm__area_budget *budget);

/*
 * area_spares.c: memory for a node of the change at hand, of what was reserved, in which all keys are
 * UINT64_MAX; or what such a node was made of, with its keys made so again.
 */
void *mm__area_spare_take(struct mm__area_tree *tree, bool inner);
void mm__area_spare_give(struct mm__area_tree *tree, void *spare, bool inner);
void mm__area_spares_free(struct mm__area_spares *spares);

/* Frees what left the tree together with a retired node, when no thread reads it any more. */
void mm__area_node_free_detached(struct mm__area_node *node);

/* An empty node, of what was reserved. */
struct mm__area_node *mm__area_node_take(struct mm__area_tree *tree, unsigned int level);

/* Gives back a private node. */
void mm__area_node_give(struct mm__area_tree *tree, struct mm__area_node *node);

/* A private copy; the original is retired. */
struct mm__area_node *mm__area_node_replace(struct mm__area_tree *tree, struct mm__area_node *node);

/* Retires a node, and all below its children from first on and before end. */
void mm__area_node_retire(struct mm__area_tree *tree, struct mm__area_node *node,
			  unsigned int first, unsigned int end);

/* The bounds and gap of one slot; a mapping has no gap. */
struct sum mm__slot_sum(const struct mm__area_node *node, unsigned int i);

/* Those of all slots of a node. */
struct sum mm__node_sum(const struct mm__area_node *node);

/* Records the sum of a child, which no thread changes meanwhile, in a slot. */
void mm__record_sum(struct mm__area_node *node, unsigned int i, struct mm__area_node *child);

/*
 * The rest is for private nodes. n slots from the end of left to the front of right, or from the
 * front of right to the end of left; *key divides the two.
 */
void mm__shift_right(struct mm__area_node *left, struct mm__area_node *right, unsigned int n,
		     uint64_t *key);
void mm__shift_left(struct mm__area_node *left, struct mm__area_node *right, unsigned int n,
		    uint64_t *key);

/*
 * Makes room for slot i, of an inner node not the first; or closes n slots from i on. A leaf may be one
 * that readers see, while its sequence count is odd.
 */
void mm__open_slot(struct mm__area_node *node, unsigned int i);
void mm__close_slots(struct mm__area_node *node, unsigned int i, unsigned int n);

#endif
