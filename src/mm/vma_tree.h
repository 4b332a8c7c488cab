/* SPDX-License-Identifier: MIT */
/*
 * vma_tree - what is mapped where in an address space: a B+-tree of disjoint, half-open ranges,
 * with bounds for the gaps of each subtree, so that the highest gap of a given length is found in
 * O(log n).
 *
 * It knows nothing of pages, of what a VMA is, or of what makes two VMAs one. Readers need nothing
 * but an RCU read section. A writer keeps all other writers away from the addresses that it changes, as
 * long as it does; two writers at different addresses need not know of each other. There are two ways to
 * change mappings:
 *
 * - in place, in the one border node that has all the addresses and what touches them: with the lock of the
 *   border node, and without memory;
 * - with the tree's lock, which is the caller's: in border nodes, or in copies of the nodes that change. What was
 *   replaced is handed out by mm__vma_tree_take_retired().
 *
 * A change cannot fail. Before a writer with the tree's lock changes anything, it reserves nodes for all
 * its changes. What is reserved stands in the writer's budget, and no other writer uses it, even if the
 * lock is dropped in between. (G) The spares of the tree are at least the sum of all budgets, for each
 * kind of node. In a row:
 *
 *	if (!mm__vma_edit_in_place(&edit, &tree, start, end, ..)) {
 *		mm__vma_tree_preload(&tree, &needs, &spares);		without the lock
 *		lock
 *		mm__vma_tree_stock(&tree, &spares);
 *		mm__vma_edit_locked(&edit, &tree, &budget, start, end);
 *		error = mm__vma_tree_reserve(&tree, &budget, &needs);	seldom allocates after that
 *	}
 *	changes
 *	mm__vma_edit_end(&edit);
 *	if it is not in place
 *		retired = mm__vma_tree_take_retired(&tree);
 *		mm__vma_tree_release(&tree, &budget);
 *		unlock
 *		mm__rcu_free(retired);
 */
#ifndef MM_VMA_TREE_H
#define MM_VMA_TREE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mm__vma;
struct mm__vma_node;
struct mm__garbage;
struct border;

/* [start, end), with start < end: UINT64_MAX is never mapped. */
struct mm__mapping {
	uint64_t start;
	uint64_t end;
	struct mm__vma *vma;
};

/* Nodes for changes to come: border nodes [0] and interior nodes [1]. */
struct mm__vma_spares {
	struct mm__garbage *first[2];
	_Atomic(unsigned int) count[2]; /* who holds no lock may look at the tree's */
};

/* How many changes a writer is about to make. */
struct mm__vma_needs {
	unsigned int now;   /* before it drops the lock */
	unsigned int later; /* after that */
	uint64_t most;      /* mappings that the tree may have by then */
};

/* What a writer may still do, and the spares that it may still use: border nodes [0] and interior nodes [1]. */
struct mm__vma_budget {
	unsigned int changes;
	unsigned int nodes[2];
};

struct mm__vma_tree {
	/* Alone on its line, which readers read. NULL: empty. */
	alignas(64) _Atomic(struct mm__vma_node *) root;
	/* With the lock. A thread without it may read what is atomic, as a hint. */
	alignas(64) _Atomic(unsigned int) levels; /* of nodes */
	struct mm__vma_spares spares;
	_Atomic(unsigned int) reserved[2]; /* the sum of all budgets */
	struct mm__vma_budget *budget;    /* of the change at hand */
	struct mm__garbage *retired;
	struct border *locked; /* the border nodes that are locked together with the tree */
	bool reshaped;       /* since the first of them was locked, keys may have moved */
	uint64_t next_look;  /* mm__vma_tree_tidy() looks next at the border node of this address */
};

/* A change of mappings by one writer. */
struct mm__vma_edit {
	struct mm__vma_tree *tree;
	struct border *border; /* in place, in this border node; NULL: with the tree's lock */
	uint64_t start;    /* in place: all that it may change lies here */
	uint64_t end;
	uint32_t writer;
	bool begun;                     /* readers of the border node wait */
	struct mm__vma_budget *budget; /* without a border node */
	/* Where mm__vma_tree_tidy() is to be called when it is over, to divide a border node or not; 0: nowhere. */
	uint64_t tidy;
	bool divides;
	bool widens; /* not in place, because the bounds for gaps are too narrow */
	bool busy;   /* a second edit has not begun, because another thread has the border node locked */
};

void mm__vma_tree_init(struct mm__vma_tree *tree);

/* Frees the nodes, not the VMAs. Nobody may read any more. O(n). */
void mm__vma_tree_destroy(struct mm__vma_tree *tree);

/*
 * The mapping that contains addr, in *m; false if there is none. In an RCU read section, or with the
 * lock. Writes nothing shared, unless a writer stays long in the border node. What is mapped all the time is
 * found, whatever else changes. O(log n).
 */
bool mm__vma_tree_at(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m);

/* What a thread remembers of the border node that it has looked at last. */
struct mm__vma_look {
	const struct border *border; /* only compared */
	uint64_t addr;           /* in that border node */
	uint64_t seq;
	uint32_t strain; /* high: other threads change it between two looks */
	uint32_t passed; /* so often it was high, and the border node was not divided */
};

/*
 * The same, for a thread that looks again and again: if then mm__vma_looks_strained(), the border node is to be
 * divided between it and the thread that changes it.
 */
bool mm__vma_tree_look(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m,
			struct mm__vma_look *look);

#define MM__STRAIN_STEP  32u
#define MM__STRAIN_SPLIT 256u

static inline bool mm__vma_looks_strained(const struct mm__vma_look *look)
{
	return look->strain >= MM__STRAIN_SPLIT << look->passed;
}

/*
 * A key for mm__vma_tree_tidy() between the mapping at addr and what another thread than this one has
 * changed last in its border node; 0: there is none. In an RCU read section.
 */
uint64_t mm__vma_tree_key_beside(const struct mm__vma_tree *tree, uint64_t addr, uint32_t writer);

/*
 * The first mapping that ends above addr: the one that contains it, or else the next; false if
 * there is none. With the lock. O(log n).
 */
bool mm__vma_tree_find(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m);

/* Some mappings in a row, which are next to each other in the tree. */
#define MM__VMA_LIST 15u
struct mm__vma_list {
	unsigned int count;
	unsigned int next; /* the first that mm__vma_list_next() has not given yet */
	struct mm__mapping m[MM__VMA_LIST];
};

/* Makes it empty, without touching the rest. */
static inline void mm__vma_list_init(struct mm__vma_list *list)
{
	list->count = list->next = 0;
}

/* Lists the first mappings that end above addr; false: there are none. With the lock. O(log n). */
bool mm__vma_tree_list(const struct mm__vma_tree *tree, uint64_t addr,
			struct mm__vma_list *list);

/*
 * As mm__vma_tree_find(), for one mapping after the other: addr is the end of the one before. The list
 * is empty at first, and when the tree has been changed. With the lock. O(1) on average.
 */
static inline bool mm__vma_list_next(const struct mm__vma_tree *tree, struct mm__vma_list *list,
				      uint64_t addr, struct mm__mapping *m)
{
	if (list->next == list->count && !mm__vma_tree_list(tree, addr, list))
		return false;
	*m = list->m[list->next++];
	return true;
}

/*
 * The highest address of length free bytes in [low, high), in *addr; false if there are none.
 * length > 0. With the lock; other threads may map there in place before it is dropped. Tightens bounds
 * that it finds too wide: O(log n) on average.
 */
bool mm__vma_tree_highest_gap(struct mm__vma_tree *tree, uint64_t length, uint64_t low,
			       uint64_t high, uint64_t *addr);

/* The lowest one. */
bool mm__vma_tree_lowest_gap(struct mm__vma_tree *tree, uint64_t length, uint64_t low,
			      uint64_t high, uint64_t *addr);

/*
 * The highest one that one border node knows of: the border node of this address, which is in [low, high). Nothing is
 * mapped within margin bytes above it, unless a mapping begins at its end. In an RCU read section,
 * without the lock. Another thread may have mapped something there already.
 */
bool mm__vma_tree_border_gap(const struct mm__vma_tree *tree, uint64_t length, uint64_t low,
			    uint64_t high, uint64_t margin, uint64_t *addr);

/*
 * Allocates, without a lock, the nodes that the tree seems to lack for these changes. The caller must
 * give them to the tree. If there is no memory, mm__vma_tree_reserve() will say so.
 */
void mm__vma_tree_preload(const struct mm__vma_tree *tree, const struct mm__vma_needs *needs,
			   struct mm__vma_spares *spares);

/* Moves all of *spares to the tree's. */
void mm__vma_tree_stock(struct mm__vma_tree *tree, struct mm__vma_spares *spares);

/*
 * Reserves nodes for changes of any kind, and puts them into *budget. 0; or ENOMEM, and *budget is
 * empty. Allocates only what the tree lacks.
 */
int mm__vma_tree_reserve(struct mm__vma_tree *tree, struct mm__vma_budget *budget,
			  const struct mm__vma_needs *needs);

/*
 * Makes spares of retired nodes that no thread reads any more. Every change but an insertion retires at
 * least as many nodes of each kind as it takes: so after that, as much can be reserved as before, whether or
 * not there is memory.
 */
void mm__vma_tree_recycle(struct mm__vma_tree *tree, struct mm__garbage *retired);

/* Lets others have what is left of the budget. */
void mm__vma_tree_release(struct mm__vma_tree *tree, struct mm__vma_budget *budget);

/*
 * Edits. A writer keeps other writers away from [start, end). The edit may look at, and change, what is
 * mapped there, and the mappings that touch it.
 */

/*
 * Begins an edit of [start, end) in place, if one border node has it all, with room for two more mappings; and
 * where unmaps is set, for an edit that only takes mappings out, if its bounds for gaps allow for it.
 * False: with the lock only. In an RCU read section, which goes on until the end of the edit; no other
 * edit of the thread has begun. writer: a number of the calling thread's own. May wait for edits of other
 * threads in the border node.
 */
bool mm__vma_edit_in_place(struct mm__vma_edit *edit, struct mm__vma_tree *tree, uint64_t start,
			    uint64_t end, uint32_t writer, bool unmaps);

/*
 * Whether such an edit may change [start, end), too, because that is in the same border node. If only the bounds for
 * gaps are in the way of taking mappings out there, the edit widens.
 */
bool mm__vma_edit_includes(struct mm__vma_edit *edit, uint64_t start, uint64_t end, bool unmaps);

/* How many more mappings it has room for: two, or more. */
unsigned int mm__vma_edit_room(const struct mm__vma_edit *edit);

/*
 * As mm__vma_edit_in_place(), for a thread whose first edit goes on in place: begins a second one, in another
 * border node. Waits for no other thread.
 */
bool mm__vma_edit_second(struct mm__vma_edit *edit, const struct mm__vma_edit *first,
			  uint64_t start, uint64_t end, uint32_t writer, bool unmaps);

/*
 * After one of them, if the edit widens: makes the bounds there as wide as it takes, so that it can begin; and some more
 * each time. A search finds narrower ones when it needs them. With the lock.
 */
void mm__vma_tree_widen(struct mm__vma_tree *tree, uint64_t start, uint64_t end);

/*
 * Begins one with the tree's lock. May wait for edits in place. *edit is zeroed, or as a failed
 * mm__vma_edit_in_place() has left it.
 */
void mm__vma_edit_locked(struct mm__vma_edit *edit, struct mm__vma_tree *tree,
			  struct mm__vma_budget *budget, uint64_t start, uint64_t end);

/* Another range for an edit that has begun with the lock. */
void mm__vma_edit_also(struct mm__vma_edit *edit, uint64_t start, uint64_t end);

/* Readers and other writers see the change, if they have not seen it yet. The lock is still held. */
void mm__vma_edit_end(struct mm__vma_edit *edit);

/* All that is mapped below this address, and not below the edit, is in its border node. In place. */
uint64_t mm__vma_edit_reach(const struct mm__vma_edit *edit);

/* As the functions of the tree. */
bool mm__vma_edit_at(const struct mm__vma_edit *edit, uint64_t addr, struct mm__mapping *m);
bool mm__vma_edit_find(const struct mm__vma_edit *edit, uint64_t addr, struct mm__mapping *m);
bool mm__vma_edit_list(const struct mm__vma_edit *edit, uint64_t addr,
			struct mm__vma_list *list);

/*
 * Every budgeted change of a tree is one of these. Puts *m in, which overlaps nothing there. With the
 * lock, the whole of *m must be in one border node; see mm__vma_tree_clear(). O(log n).
 */
void mm__vma_tree_insert(struct mm__vma_edit *edit, const struct mm__mapping *m);

/*
 * Takes all n mappings in [start, end) out, in one step for readers. None sticks out. O(log n), of the
 * mappings in the tree, however many are taken out: the rest of the work is done when what is retired is
 * freed.
 */
void mm__vma_tree_erase_range(struct mm__vma_edit *edit, uint64_t start, uint64_t end,
			       uint64_t n);

/* Takes the mapping that begins at start out. It must exist. O(log n). */
static inline void mm__vma_tree_erase(struct mm__vma_edit *edit, uint64_t start)
{
	mm__vma_tree_erase_range(edit, start, start + 1, 1);
}

/*
 * Nothing is mapped in [start, end): makes it all part of one border node, so that it can become a mapping, or
 * part of one.
 */
void mm__vma_tree_clear(struct mm__vma_edit *edit, uint64_t start, uint64_t end);

/*
 * Puts *m in the place of the mapping that begins at start, in one step for readers. The bounds may
 * change as long as it stays between its neighbours. O(log n).
 */
void mm__vma_tree_set(struct mm__vma_edit *edit, uint64_t start, const struct mm__mapping *m);

/*
 * What an edit has left to be done at its tidy: divides a border node there that several threads use, or joins
 * one that has become almost empty with its neighbour. Takes MM__TIDY_CHANGES of the budget. With the lock,
 * in an edit of nothing, which is to be ended. now: in nanoseconds.
 */
#define MM__TIDY_CHANGES 3u
void mm__vma_tree_tidy(struct mm__vma_edit *edit, uint64_t addr, bool divides, uint64_t now);

/* Nodes that new readers do not find any more, for mm__rcu_free(). NULL: none. */
struct mm__garbage *mm__vma_tree_take_retired(struct mm__vma_tree *tree);

/*
 * Whether order, fill, bounds and gaps are right, and there are so many mappings; if not, *what says what
 * is wrong. At a quiet moment. O(n).
 */
bool mm__vma_tree_valid(const struct mm__vma_tree *tree, uint64_t count, const char **what);

#endif
