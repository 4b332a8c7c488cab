/* SPDX-License-Identifier: MIT */
/*
 * vma_node - the nodes of a vma_tree: their slots, and how slots move between two nodes.
 *
 * A border node has a slot for each mapping. An interior node has a slot for each child, with the
 * key that divides it from the child before. The words that a reader compares are contiguous, and
 * so are those that it takes from there. Keys beyond those in use are UINT64_MAX, so that a search
 * does not depend on their number.
 *
 * The keys of an interior node never change once readers can see the node. Its children change,
 * atomically. Its sums change, too; only writers with the VMA tree lock read them. The slots of a
 * border node change in place: see vma_border.h.
 */
#ifndef MM_VMA_NODE_H
#define MM_VMA_NODE_H

#include "rcu.h"
#include "table_lock.h"
#include "vma_tree.h"

#include <stddef.h>

/*
 * For mm__search(), BORDER_SLOTS + 1 is a power of two, and so is INTERIOR_SLOTS, because an
 * interior node has one key less than slots.
 */
#define BORDER_SLOTS   15u
#define INTERIOR_SLOTS 64u

/* The slots that an edit in place adds at most: one for a hole in a mapping, one for a mapping. */
#define BORDER_RESERVE 2u

struct mm__vma_node {
	struct mm__garbage garbage; /* when the node is retired; a spare node uses next, too */
	/* When the node is retired: the children that left the tree together with it. */
	uint32_t first_detached;
	uint32_t end_detached;
	uint32_t level; /* 0: a border node */
	uint32_t count; /* slots in use */
};

/* The bounds of the mappings below a slot, and the greatest gap between them: see [TREE-F]. */
struct sum {
	uint64_t lo;
	uint64_t hi;
	uint64_t gap;
};

static const struct sum mm__no_bounds = { UINT64_MAX, 0, UINT64_MAX };

struct border {
	struct mm__vma_node node;
	/* Readers read these. */
	_Alignas(64) _Atomic(uint64_t) seq; /* odd: a writer is changing slots */
	_Atomic(uint64_t) start[BORDER_SLOTS];
	_Alignas(64) struct {
		_Atomic(uint64_t) end;
		_Atomic(struct mm__vma *) vma;
	} rest[BORDER_SLOTS];
	/* Only writers read the rest. */
	_Alignas(64) struct mm__table_lock lock; /* see [BORDER-A] */
	bool dead;                               /* replaced, and no longer in the tree */
	bool sparse;         /* too few mappings are no reason to join it with another node */
	uint16_t writer;     /* the number of the last writer's thread */
	uint32_t strain;     /* high: different threads change it in turn */
	uint64_t last_start; /* the range of the last writer's edit */
	uint64_t last_end;
	uint64_t low; /* see [BORDER-B] */
	uint64_t high;
	struct sum recorded; /* the bounds of this node, as the slot of the parent has them */
	struct border *next_locked;
	uint64_t seen; /* the count and the time at the last look of mm__vma_tree_tidy() */
	uint64_t seen_at;
	uint32_t too_strained; /* the strain at which to divide it; doubled if that fails */
};

struct interior {
	struct mm__vma_node node;
	/*
	 * Keys below key[i], and not below key[i - 1], lead to child[i]; the highest ones to the
	 * last child.
	 */
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
	/* acquire [TREE-R2], for readers: pairs with [TREE-W2] in vma_path.h */
	return atomic_load_explicit(&tree->root, memory_order_acquire);
}

/* For the writer with the lock, the only thread that changes children. */
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

/* The number of slots at which an insertion with the lock divides a node. */
static inline unsigned int mm__full(const struct mm__vma_node *node)
{
	return node->level ? INTERIOR_SLOTS : BORDER_SLOTS - BORDER_RESERVE;
}

/* The number of slots that a node other than the root uses at least. */
static inline unsigned int mm__least(const struct mm__vma_node *node)
{
	return mm__slots(node) / 3;
}

/*
 * The number of keys that are at most addr, of 2 * half - 1 ascending keys. addr is not UINT64_MAX.
 * There is no branch for a processor to predict wrongly, so it can start on the code that follows.
 */
static inline unsigned int mm__search(const uint64_t *key, unsigned int half, uint64_t addr)
{
	unsigned int i = 0;

	for (; half; half /= 2)
		i += half & -(unsigned int)(key[i + half - 1] <= addr);
	return i;
}

/* The child on the way to the mapping at addr. */
static inline unsigned int mm__route(const struct interior *interior, uint64_t addr)
{
	return mm__search(interior->key, INTERIOR_SLOTS / 2, addr);
}

/*
 * The same for the root, whose count is on a line that the caller has loaded. Where a few threads
 * have a border node each, the root has few children. A search of all its keys would then take
 * longer than that of a border node.
 */
static inline unsigned int mm__route_root(const struct interior *root, uint64_t addr)
{
	return root->node.count <= 8 ? mm__search(root->key, 4, addr) : mm__route(root, addr);
}

/* acquire and release [BORDER-L2], [BORDER-L5]; for the VMA's fields [TREE-R1], [TREE-W1] */
static inline uint64_t mm__border_start(const struct border *border, unsigned int i)
{
	return atomic_load_explicit(&border->start[i], memory_order_acquire);
}

static inline void mm__border_get(const struct border *border, unsigned int i,
				  struct mm__mapping *m)
{
	m->start = mm__border_start(border, i);
	m->end = atomic_load_explicit(&border->rest[i].end, memory_order_acquire);
	m->vma = atomic_load_explicit(&border->rest[i].vma, memory_order_acquire);
}

static inline void mm__border_put(struct border *border, unsigned int i,
				  const struct mm__mapping *m)
{
	atomic_store_explicit(&border->start[i], m->start, memory_order_release);
	atomic_store_explicit(&border->rest[i].end, m->end, memory_order_release);
	atomic_store_explicit(&border->rest[i].vma, m->vma, memory_order_release);
}

/* The number of mappings of the border node that begin at addr or below. As mm__search(). */
static inline unsigned int mm__begun(const struct border *border, uint64_t addr)
{
	unsigned int i = 0;

	/* A compiler does not unroll a loop of atomic loads by itself. */
#ifdef __GNUC__
#pragma GCC unroll 8
#endif
	for (unsigned int half = (BORDER_SLOTS + 1) / 2; half; half /= 2)
		i += half & -(unsigned int)(mm__border_start(border, i + half - 1) <= addr);
	return i;
}

/* Finds the mapping that contains addr, for a writer, or for a reader that checks seq. */
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

/* The first slot whose mapping ends above addr; BORDER_SLOTS or a free slot if there is none. */
static inline unsigned int mm__border_find(const struct border *border, uint64_t addr)
{
	unsigned int i = mm__begun(border, addr);
	struct mm__mapping m;

	if (!i)
		return 0;
	mm__border_get(border, i - 1, &m);
	return m.end > addr ? i - 1 : i;
}

/* Whether there may be no mapping below the slot of this sum. */
static inline bool mm__maybe_empty(const struct sum *sum)
{
	return sum->lo > sum->hi;
}

/* Loads the distant lines of a border node at the same time, and not one after the other. */
static void prefetch_border(const struct mm__vma_node *node)
{
#ifdef __GNUC__
	for (size_t at = offsetof(struct border, seq); at < offsetof(struct border, lock); at += 64)
		__builtin_prefetch((const char *)node + at);
#else
	(void)node;
#endif
}

/* Returns the border node to which addr leads. NULL: the tree is empty. */
static inline struct border *mm__border_descend(const struct mm__vma_tree *tree, uint64_t addr)
{
	struct mm__vma_node *node = mm__root(tree);
	unsigned int top = node ? node->level : 0;

	for (unsigned int level = top; level; level--) {
		const struct interior *interior = mm__interior(node);
		unsigned int i =
			level == top ? mm__route_root(interior, addr) : mm__route(interior, addr);

		/* acquire [TREE-R1]: pairs with [TREE-W1] in mm__path_publish() */
		node = atomic_load_explicit(&interior->child[i], memory_order_acquire);
		if (level == 1)
			prefetch_border(node);
	}
	return node ? mm__border(node) : NULL;
}

/*
 * The border node to which addr leads, and the keys *low and *high around it. The tree is not
 * empty.
 */
struct border *mm__border_of(const struct mm__vma_tree *tree, uint64_t addr, uint64_t *low,
			     uint64_t *high);

/*
 * Frees the nodes that left the tree together with a retired node, which no thread reads any more.
 */
void mm__vma_node_free_detached(struct mm__vma_node *node);

/* Frees the node and all nodes below it. */
void mm__vma_node_free(struct mm__vma_node *node);

/* The bounds and the gap of all slots of a node. */
struct sum mm__node_sum(const struct mm__vma_node *node);

/* Records the sum of a child in a slot. No thread changes the child meanwhile. */
void mm__record_sum(struct mm__vma_node *node, unsigned int i, struct mm__vma_node *child);

/*
 * The functions that follow work on private nodes. These two move n slots from the end of left to
 * the front of right, or from the front of right to the end of left. *key divides the two nodes.
 */
void mm__shift_right(struct mm__vma_node *left, struct mm__vma_node *right, unsigned int n,
		     uint64_t *key);
void mm__shift_left(struct mm__vma_node *left, struct mm__vma_node *right, unsigned int n,
		    uint64_t *key);

/*
 * The first opens slot i, which in an interior node is not the first slot. The second closes n
 * slots from slot i on. Readers may see the node if it is a border node whose sequence count is
 * odd.
 */
void mm__open_slot(struct mm__vma_node *node, unsigned int i);
void mm__close_slots(struct mm__vma_node *node, unsigned int i, unsigned int n);

/* Closes the slots from n on. */
void mm__clear_slots(struct mm__vma_node *node, unsigned int n);

/* Copies all slots of a node to a new one. */
void mm__copy_slots(struct mm__vma_node *to, const struct mm__vma_node *from);

#endif
