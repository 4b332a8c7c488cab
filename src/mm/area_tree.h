/* SPDX-License-Identifier: MIT */
/*
 * area_tree - what is mapped where in an address space: a B+-tree of disjoint, half-open ranges,
 * with the greatest gap of each subtree, so that the highest gap of a given length is found in
 * O(log n).
 *
 * It knows nothing of pages, of what an area is, or of what makes two areas one. Writers are
 * serialised by the caller, who also keeps mappings from overlapping. Readers need nothing but an
 * RCU read section: a change leaves what they may see as it is, and puts a changed copy in its
 * place. What was replaced is handed out by mm__area_tree_take_retired().
 *
 * A change cannot fail. The writer reserves nodes for all its changes before the first of them, and
 * a writer that gets no memory has changed nothing. What is reserved stands in the writer's budget,
 * and no other writer uses it, even if the lock is dropped in between. In a row:
 *
 *	mm__area_tree_preload(tree, &needs, &spares);		without the lock
 *	lock
 *	mm__area_tree_stock(tree, &spares);
 *	error = mm__area_tree_reserve(tree, &budget, &needs);	seldom allocates after that
 *	needs.now changes
 *	retired = mm__area_tree_take_retired(tree);
 *	unlock
 *	mm__rcu_free(retired);
 *	...
 *	lock
 *	needs.later changes
 *	mm__area_tree_release(tree, &budget);
 *	...
 *
 * (G) The spares of the tree are at least the sum of all budgets, for each kind of node.
 */
#ifndef MM_AREA_TREE_H
#define MM_AREA_TREE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mm__area;
struct mm__area_node;
struct mm__garbage;

/* [start, end), with start < end: UINT64_MAX is never mapped. */
struct mm__mapping {
	uint64_t start;
	uint64_t end;
	struct mm__area *area;
};

/* Nodes for changes to come: leaves [0] and inner nodes [1]. */
struct mm__area_spares {
	struct mm__garbage *first[2];
	_Atomic(unsigned int) count[2]; /* who holds no lock may look at the tree's */
};

/* How many changes a writer is about to make. */
struct mm__area_needs {
	unsigned int now;   /* before it drops the lock */
	unsigned int later; /* after that */
	uint64_t most;      /* mappings that the tree may have by then */
};

/* What a writer may still do, and the spares that it may still use: leaves [0] and inner nodes [1]. */
struct mm__area_budget {
	unsigned int changes;
	unsigned int nodes[2];
};

struct mm__area_tree {
	/* Alone on its line, which readers read. NULL: empty. */
	alignas(64) _Atomic(struct mm__area_node *) root;
	/* For writers. A thread without the lock may read what is atomic, as a hint. */
	alignas(64) uint64_t count;
	_Atomic(unsigned int) levels; /* of nodes */
	struct mm__area_spares spares;
	_Atomic(unsigned int) reserved[2]; /* the sum of all budgets */
	struct mm__area_budget *budget;    /* of the change at hand */
	struct mm__garbage *retired;
};

void mm__area_tree_init(struct mm__area_tree *tree);

/* Frees the nodes, not the areas. Nobody may read any more. O(n). */
void mm__area_tree_destroy(struct mm__area_tree *tree);

/*
 * The mapping that contains addr, in *m; false if there is none. For writers, and for readers in an
 * RCU read section. Takes no lock and writes nothing shared. What is mapped all the time is found,
 * whatever else changes. O(log n).
 */
bool mm__area_tree_at(const struct mm__area_tree *tree, uint64_t addr, struct mm__mapping *m);

/*
 * The first mapping that ends above addr: the one that contains it, or else the next; false if
 * there is none. For writers only. O(log n).
 */
bool mm__area_tree_find(const struct mm__area_tree *tree, uint64_t addr, struct mm__mapping *m);

/* Some mappings in a row, which are next to each other in the tree. */
#define MM__AREA_LIST 15u
struct mm__area_list {
	unsigned int count;
	unsigned int next; /* the first that mm__area_list_next() has not given yet */
	struct mm__mapping m[MM__AREA_LIST];
};

/* Makes it empty, without touching the rest. */
static inline void mm__area_list_init(struct mm__area_list *list)
{
	list->count = list->next = 0;
}

/* Lists the first mappings that end above addr; false: there are none. For writers only. O(log n). */
bool mm__area_tree_list(const struct mm__area_tree *tree, uint64_t addr,
			struct mm__area_list *list);

/*
 * As mm__area_tree_find(), for one mapping after the other: addr is the end of the one before. The list
 * is empty at first, and when the tree has been changed. For writers only. O(1) on average.
 */
static inline bool mm__area_list_next(const struct mm__area_tree *tree, struct mm__area_list *list,
				      uint64_t addr, struct mm__mapping *m)
{
	if (list->next == list->count && !mm__area_tree_list(tree, addr, list))
		return false;
	*m = list->m[list->next++];
	return true;
}

/*
 * The highest address of length free bytes in [low, high), in *addr; false if there are none.
 * length > 0. For writers only. O(log n).
 */
bool mm__area_tree_highest_gap(const struct mm__area_tree *tree, uint64_t length, uint64_t low,
			       uint64_t high, uint64_t *addr);

/* The lowest one. */
bool mm__area_tree_lowest_gap(const struct mm__area_tree *tree, uint64_t length, uint64_t low,
			      uint64_t high, uint64_t *addr);

/*
 * Allocates, without a lock, the nodes that the tree seems to lack for these changes. The caller must
 * give them to the tree. If there is no memory, mm__area_tree_reserve() will say so.
 */
void mm__area_tree_preload(const struct mm__area_tree *tree, const struct mm__area_needs *needs,
			   struct mm__area_spares *spares);

/* Moves all of *spares to the tree's. */
void mm__area_tree_stock(struct mm__area_tree *tree, struct mm__area_spares *spares);

/*
 * Reserves nodes for changes of any kind, and puts them into *budget. 0; or ENOMEM, and *budget is
 * empty. Allocates only what the tree lacks.
 */
int mm__area_tree_reserve(struct mm__area_tree *tree, struct mm__area_budget *budget,
			  const struct mm__area_needs *needs);

/*
 * Several changes in turn, for which the budget of one of them is enough. Every change but an insertion
 * retires at least as many nodes of each kind as it takes. So a writer that keeps what was retired since
 * its budget was full can fill it again, whether or not there is memory:
 *
 *	error = mm__area_tree_prepare_refill(&budget, &needs, &spares);		without the lock
 *	if there is an error
 *		wait until no thread reads what was retired
 *		mm__area_tree_reuse(&budget, &needs, retired, &spares);
 *	lock
 *	mm__area_tree_refill(tree, &budget, &needs, &spares);
 *
 * needs->later is how many changes the budget is for after that; needs->now is not looked at.
 */

/* Allocates what the budget lacks. 0; or ENOMEM, and *spares has a part of it. */
int mm__area_tree_prepare_refill(const struct mm__area_budget *budget,
				 const struct mm__area_needs *needs,
				 struct mm__area_spares *spares);

/* Takes the rest from the retired nodes, and frees those that are not needed. */
void mm__area_tree_reuse(const struct mm__area_budget *budget, const struct mm__area_needs *needs,
			 struct mm__garbage *retired, struct mm__area_spares *spares);

void mm__area_tree_refill(struct mm__area_tree *tree, struct mm__area_budget *budget,
			  const struct mm__area_needs *needs, struct mm__area_spares *spares);

/* Lets others have what is left of the budget. */
void mm__area_tree_release(struct mm__area_tree *tree, struct mm__area_budget *budget);

/* Puts *m in, which overlaps nothing there. O(log n). */
void mm__area_tree_insert(struct mm__area_tree *tree, struct mm__area_budget *budget,
			  const struct mm__mapping *m);

/*
 * Takes all n mappings in [start, end) out, in one step for readers. There is at least one, and none
 * sticks out. O(log n), of the mappings in the tree, however many are taken out: the rest of the work
 * is done when what is retired is freed.
 */
void mm__area_tree_erase_range(struct mm__area_tree *tree, struct mm__area_budget *budget,
			       uint64_t start, uint64_t end, uint64_t n);

/* Takes the mapping that begins at start out. It must exist. O(log n). */
static inline void mm__area_tree_erase(struct mm__area_tree *tree, struct mm__area_budget *budget,
				       uint64_t start)
{
	mm__area_tree_erase_range(tree, budget, start, start + 1, 1);
}

/*
 * Puts *m in the place of the mapping that begins at start, in one step for readers. The bounds may
 * change as long as it stays between its neighbours. O(log n).
 */
void mm__area_tree_set(struct mm__area_tree *tree, struct mm__area_budget *budget, uint64_t start,
		       const struct mm__mapping *m);

/* Nodes that new readers do not find any more, for mm__rcu_free(). NULL: none. */
struct mm__garbage *mm__area_tree_take_retired(struct mm__area_tree *tree);

/* Whether order, fill, bounds and gaps are right; if not, *what says what is wrong. O(n). */
bool mm__area_tree_valid(const struct mm__area_tree *tree, const char **what);

#endif
