/* SPDX-License-Identifier: MIT */
/*
 * area_node - the nodes of area_tree: what is in one, how slots move between two, and where their
 * memory comes from and goes to.
 *
 * A leaf has a slot for each mapping, an inner node one for each child, with the key that divides
 * it from the child before. What a reader compares is contiguous, begins a cache line, and has
 * nothing on its lines that changes; the same goes for what it takes from there. Keys beyond those
 * in use are UINT64_MAX, so that a search does not depend on their number.
 *
 * A node is changed only while it is private to the writer. When readers can see it, two things
 * still change: the children of an inner node, atomically, and its sums, which only writers read.
 */
#ifndef MM_AREA_NODE_H
#define MM_AREA_NODE_H

#include "area_tree.h"
#include "rcu.h"

#include <stddef.h>

/* One more is a power of two for mm__search(), and so is the other, whose keys are one less. */
#define LEAF_SLOTS  15u
#define INNER_SLOTS 64u

struct mm__area_node {
	struct mm__garbage garbage; /* when retired; next also while it is spare */
	/* When retired: the children that left the tree together with the node. */
	uint32_t first_detached;
	uint32_t end_detached;
	char pad[64 - sizeof(struct mm__garbage) - 2 * sizeof(uint32_t)];
	uint32_t level; /* 0: a leaf */
	uint32_t count; /* of slots in use */
};

struct leaf {
	struct mm__area_node node;
	uint64_t start[LEAF_SLOTS];
	struct {
		uint64_t end;
		struct mm__area *area;
	} rest[LEAF_SLOTS];
};

/* The bounds of what is below a slot, and the greatest gap inside. */
struct sum {
	uint64_t lo;
	uint64_t hi;
	uint64_t gap;
};

struct inner {
	struct mm__area_node node;
	uint64_t
		key[INNER_SLOTS - 1]; /* child[i] has what is below key[i], child[i + 1] the rest */
	_Atomic(struct mm__area_node *) child[INNER_SLOTS];
	struct sum sum[INNER_SLOTS];
};

_Static_assert(offsetof(struct leaf, rest) % 64 == 0, "what is found in a leaf begins a line");
_Static_assert(offsetof(struct inner, child) % 64 == 0, "children begin a line");
_Static_assert(offsetof(struct inner, sum) % 64 == 0, "sums share no line with children");

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

/* How many mappings of the leaf begin at addr or below. */
static inline unsigned int mm__begun(const struct leaf *leaf, uint64_t addr)
{
	return mm__search(leaf->start, (LEAF_SLOTS + 1) / 2, addr);
}

/* A change begins that uses this budget. */
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

/* Those of all slots of a node, which has at least one. */
struct sum mm__node_sum(const struct mm__area_node *node);

/*
 * The rest is for private nodes. n slots from the end of left to the front of right, or from the
 * front of right to the end of left; *key divides the two.
 */
void mm__shift_right(struct mm__area_node *left, struct mm__area_node *right, unsigned int n,
		     uint64_t *key);
void mm__shift_left(struct mm__area_node *left, struct mm__area_node *right, unsigned int n,
		    uint64_t *key);

/* Makes room for slot i. Of an inner node not the first. */
void mm__open_slot(struct mm__area_node *node, unsigned int i);
void mm__close_slot(struct mm__area_node *node, unsigned int i);

#endif
