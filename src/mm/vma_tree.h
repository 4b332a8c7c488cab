/* SPDX-License-Identifier: MIT */
/*
 * vma_tree - the mappings of an address space: a B+-tree of disjoint, half-open ranges, with bounds
 * for the gaps of each subtree, so that a search finds the highest gap of a given length in O(log
 * n).
 *
 * The tree knows nothing of pages, of the contents of a VMA, or of the rules by which VMAs merge. A
 * reader needs only an RCU read section. A writer keeps all other writers away from the addresses
 * that it changes, until it has changed them. Two writers at different addresses need not know of
 * each other. A writer changes mappings in one of two ways:
 *
 * - In place, in the one border node that has all the addresses and the mappings that touch them.
 *   The writer holds the lock of the border node, and needs no memory.
 * - With the tree's lock, which the caller takes. The writer changes border nodes, or copies of the
 *   nodes to change. mm__vma_tree_take_retired() returns the nodes that the copies replaced.
 *
 * A change cannot fail. Before a writer with the tree's lock changes anything, it reserves nodes
 * for all its changes. The writer's budget records the reserved nodes. No other writer uses them,
 * even if the writer drops the lock in between.
 *
 *	TREE-G  For each kind of node, the tree has at least as many spares as the sum of all
 *	        budgets.
 *
 * The steps of a writer:
 *
 *	if (!mm__vma_edit_in_place(&edit, &tree, start, end, ..)) {
 *		mm__vma_tree_preload(&tree, &needs, &spares);		without the lock
 *		lock
 *		mm__vma_tree_stock(&tree, &spares);
 *		mm__vma_edit_locked(&edit, &tree, &budget, start, end);
 *		error = mm__vma_tree_reserve(&tree, &budget, &needs);	seldom allocates
 *	}
 *	changes
 *	mm__vma_edit_end(&edit);
 *	if the edit is not in place
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

/* [start, end), with start < end. UINT64_MAX is never mapped. */
struct mm__mapping {
	uint64_t start;
	uint64_t end;
	struct mm__vma *vma;
};

/* Nodes for changes to come: border nodes [0] and interior nodes [1]. */
struct mm__vma_spares {
	struct mm__garbage *first[2];
	_Atomic(unsigned int) count[2]; /* threads without the lock may read the tree's */
};

/* The number of changes that a writer is about to make. */
struct mm__vma_needs {
	unsigned int now;   /* before the writer drops the lock */
	unsigned int later; /* after it has dropped the lock */
	uint64_t most;      /* bound for the mappings in the tree by then */
};

/* The changes and spares that a writer may still use: border nodes [0] and interior nodes [1]. */
struct mm__vma_budget {
	unsigned int changes;
	unsigned int nodes[2];
};

struct mm__vma_tree {
	/* On a line of its own, which readers load. NULL: the tree is empty. */
	alignas(64) _Atomic(struct mm__vma_node *) root;
	/*
	 * The lock protects the rest. A thread without the lock may read the atomic fields as
	 * hints.
	 */
	alignas(64) _Atomic(unsigned int) levels; /* levels of nodes */
	struct mm__vma_spares spares;
	_Atomic(unsigned int) reserved[2]; /* the sum of all budgets */
	struct mm__vma_budget *budget;     /* of the current change */
	struct mm__garbage *retired;
	struct border *locked; /* the border nodes that are locked together with the tree */
	bool reshaped;         /* keys may have moved since the first of them was locked */
	uint64_t next_look; /* mm__vma_tree_tidy() looks at the border node of this address next */
};

/* A change of mappings by one writer. */
struct mm__vma_edit {
	struct mm__vma_tree *tree;
	struct border *border; /* in place: the border node; NULL: with the tree's lock */
	uint64_t start;        /* in place: the edit changes nothing outside [start, end) */
	uint64_t end;
	uint32_t writer;
	bool begun; /* the count of the border node is odd, so its readers wait */
	struct mm__vma_budget *budget; /* for an edit with the tree's lock */
	/*
	 * The address for which the caller must call mm__vma_tree_tidy() after the edit, or 0. If
	 * divides is set, that call divides a border node.
	 */
	uint64_t tidy;
	bool divides;
	bool widens; /* not begun in place: the bounds for gaps are too narrow */
	bool busy;   /* second edit not begun: another thread has locked the border node */
};

void mm__vma_tree_init(struct mm__vma_tree *tree);

/* Frees the nodes, not the VMAs. No thread may read the tree any more. O(n). */
void mm__vma_tree_destroy(struct mm__vma_tree *tree);

/*
 * Stores the mapping that contains addr in *m; returns false if there is none. The caller is in an
 * RCU read section, or holds the lock. Writes nothing shared, unless a writer stays long in the
 * border node. Finds every mapping that exists during the whole call, whatever other threads change
 * elsewhere. O(log n).
 */
bool mm__vma_tree_at(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m);

/* The border node at which a thread looked last, as the thread remembers it. */
struct mm__vma_look {
	const struct border *border; /* compared, never dereferenced */
	uint64_t addr;               /* an address in that border node */
	uint64_t seq;
	uint32_t strain; /* high: other threads change the border node between two looks */
	uint32_t passed; /* times that the strain was high and no division followed */
};

/*
 * As mm__vma_tree_at(), for a thread that looks again and again. If mm__vma_looks_strained()
 * afterwards, the border node is to be divided between this thread and the thread that changes it.
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
 * Returns a key for mm__vma_tree_tidy() between the mapping at addr and the range that another
 * thread than writer changed last in the same border node; 0 if there is no such key. The caller is
 * in an RCU read section.
 */
uint64_t mm__vma_tree_key_beside(const struct mm__vma_tree *tree, uint64_t addr, uint32_t writer);

/*
 * Stores the first mapping that ends above addr in *m: the one that contains addr, or else the
 * next. Returns false if there is none. The caller holds the lock. O(log n).
 */
bool mm__vma_tree_find(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m);

/* Consecutive mappings of the tree. */
#define MM__VMA_LIST 15u
struct mm__vma_list {
	unsigned int count;
	unsigned int next; /* the first that mm__vma_list_next() has not returned yet */
	struct mm__mapping m[MM__VMA_LIST];
};

/* Makes the list empty, without touching the mappings. */
static inline void mm__vma_list_init(struct mm__vma_list *list)
{
	list->count = list->next = 0;
}

/*
 * Lists the first mappings that end above addr; returns false if there are none. The caller holds
 * the lock. O(log n).
 */
bool mm__vma_tree_list(const struct mm__vma_tree *tree, uint64_t addr, struct mm__vma_list *list);

/*
 * As mm__vma_tree_find(), for one mapping after the other. addr is the end of the mapping before.
 * The caller makes the list empty at first, and after each change of the tree. The caller holds the
 * lock. O(1) on average.
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
 * Stores in *addr the highest address of length free bytes in [low, high); returns false if there
 * are none. length > 0. The caller holds the lock. Other threads may map there in place before the
 * caller drops the lock. Tightens bounds that it finds too wide: O(log n) on average.
 */
bool mm__vma_tree_highest_gap(struct mm__vma_tree *tree, uint64_t length, uint64_t low,
			      uint64_t high, uint64_t *addr);

/* The same for the lowest address. */
bool mm__vma_tree_lowest_gap(struct mm__vma_tree *tree, uint64_t length, uint64_t low,
			     uint64_t high, uint64_t *addr);

/*
 * The same for the highest address that one border node knows of: the border node of *addr, which
 * is in [low, high). No mapping lies within margin bytes above the place, unless one begins at its
 * end. The caller is in an RCU read section, without the lock. Another thread may have mapped there
 * already.
 */
bool mm__vma_tree_border_gap(const struct mm__vma_tree *tree, uint64_t length, uint64_t low,
			     uint64_t high, uint64_t margin, uint64_t *addr);

/*
 * Allocates, without a lock, the nodes that the tree seems to lack for these changes. The caller
 * must give them to the tree. If there is no memory, mm__vma_tree_reserve() returns the error
 * later.
 */
void mm__vma_tree_preload(const struct mm__vma_tree *tree, const struct mm__vma_needs *needs,
			  struct mm__vma_spares *spares);

/* Moves all of *spares to the tree's spares. */
void mm__vma_tree_stock(struct mm__vma_tree *tree, struct mm__vma_spares *spares);

/*
 * Reserves nodes for changes of any kind, and puts them into *budget. Returns 0; or ENOMEM, with
 * *budget empty. Allocates only the nodes that the tree lacks.
 */
int mm__vma_tree_reserve(struct mm__vma_tree *tree, struct mm__vma_budget *budget,
			 const struct mm__vma_needs *needs);

/*
 * Makes spares of retired nodes that no thread reads any more. Every change but an insertion
 * retires at least as many nodes of each kind as it takes. After such changes and this call, a
 * writer can therefore reserve as much as before, whether or not there is memory.
 */
void mm__vma_tree_recycle(struct mm__vma_tree *tree, struct mm__garbage *retired);

/* Makes the rest of the budget available to other writers. */
void mm__vma_tree_release(struct mm__vma_tree *tree, struct mm__vma_budget *budget);

/*
 * Edits. A writer keeps other writers away from [start, end). The edit may look at, and change, the
 * mappings there and the mappings that touch the range.
 */

/*
 * Begins an edit of [start, end) in place, if one border node has the whole range and room for two
 * more mappings. If unmaps is set, the edit only takes mappings out; then the border node's bounds
 * for gaps must allow for it, too. Returns false if the edit needs the lock. The caller is in an
 * RCU read section, which lasts until the end of the edit, and has begun no other edit. writer is a
 * number that no other thread uses. May wait for edits of other threads in the border node.
 */
bool mm__vma_edit_in_place(struct mm__vma_edit *edit, struct mm__vma_tree *tree, uint64_t start,
			   uint64_t end, uint32_t writer, bool unmaps);

/*
 * Whether an edit in place may change [start, end), too, because the same border node has that
 * range. If only the bounds for gaps forbid to take mappings out there, sets widens in the edit.
 */
bool mm__vma_edit_includes(struct mm__vma_edit *edit, uint64_t start, uint64_t end, bool unmaps);

/* The number of mappings for which an edit in place has room: at least two. */
unsigned int mm__vma_edit_room(const struct mm__vma_edit *edit);

/*
 * As mm__vma_edit_in_place(), for a thread whose first edit is still in place: begins a second one,
 * in another border node. Waits for no other thread.
 */
bool mm__vma_edit_second(struct mm__vma_edit *edit, const struct mm__vma_edit *first,
			 uint64_t start, uint64_t end, uint32_t writer, bool unmaps);

/*
 * For an edit that set widens instead of beginning: makes the bounds there as wide as the edit
 * needs to begin, and more than that each time. A later search narrows them where it has to. The
 * caller holds the lock.
 */
void mm__vma_tree_widen(struct mm__vma_tree *tree, uint64_t start, uint64_t end);

/*
 * Begins an edit with the tree's lock. May wait for edits in place. *edit is zeroed, or as a failed
 * mm__vma_edit_in_place() has left it.
 */
void mm__vma_edit_locked(struct mm__vma_edit *edit, struct mm__vma_tree *tree,
			 struct mm__vma_budget *budget, uint64_t start, uint64_t end);

/* Adds another range to an edit that has begun with the lock. */
void mm__vma_edit_also(struct mm__vma_edit *edit, uint64_t start, uint64_t end);

/*
 * Ends the edit. Readers and other writers see the change from now on, if not earlier. For an edit
 * with the lock, the caller still holds the lock.
 */
void mm__vma_edit_end(struct mm__vma_edit *edit);

/*
 * In place: returns an address below which the border node has all mappings that do not lie below
 * the edit.
 */
uint64_t mm__vma_edit_reach(const struct mm__vma_edit *edit);

/* As the functions of the tree with these names, in an edit. */
bool mm__vma_edit_at(const struct mm__vma_edit *edit, uint64_t addr, struct mm__mapping *m);
bool mm__vma_edit_find(const struct mm__vma_edit *edit, uint64_t addr, struct mm__mapping *m);
bool mm__vma_edit_list(const struct mm__vma_edit *edit, uint64_t addr, struct mm__vma_list *list);

/*
 * The functions from here on are the changes that a budget counts. This one inserts *m, which
 * overlaps no mapping. With the lock, one border node must cover the whole of *m; see
 * mm__vma_tree_clear(). O(log n).
 */
void mm__vma_tree_insert(struct mm__vma_edit *edit, const struct mm__mapping *m);

/*
 * Takes all n mappings in [start, end) out, in one step for readers. None sticks out of the range.
 * O(log n) in the mappings of the tree, however many it takes out: the thread that frees the
 * retired nodes does the rest of the work.
 */
void mm__vma_tree_erase_range(struct mm__vma_edit *edit, uint64_t start, uint64_t end, uint64_t n);

/* Takes the mapping that begins at start out. The mapping must exist. O(log n). */
static inline void mm__vma_tree_erase(struct mm__vma_edit *edit, uint64_t start)
{
	mm__vma_tree_erase_range(edit, start, start + 1, 1);
}

/*
 * No mapping lies in [start, end). Makes the whole range part of one border node, so that it can
 * become a mapping, or part of one.
 */
void mm__vma_tree_clear(struct mm__vma_edit *edit, uint64_t start, uint64_t end);

/*
 * Replaces the mapping that begins at start by *m, in one step for readers. The bounds may change
 * as long as the mapping stays between its neighbours. O(log n).
 */
void mm__vma_tree_set(struct mm__vma_edit *edit, uint64_t start, const struct mm__mapping *m);

/*
 * Does the work that an edit left to its tidy: divides the border node at addr, which several
 * threads use; or joins a border node that has become almost empty with its neighbour. Takes
 * MM__TIDY_CHANGES of the budget. The caller holds the lock, has begun an edit of addr that changes
 * nothing, and ends that edit afterwards. now is in nanoseconds.
 */
#define MM__TIDY_CHANGES 3u
void mm__vma_tree_tidy(struct mm__vma_edit *edit, uint64_t addr, bool divides, uint64_t now);

/* Returns the nodes that new readers do not find any more, for mm__rcu_free(), or NULL. */
struct mm__garbage *mm__vma_tree_take_retired(struct mm__vma_tree *tree);

/*
 * Whether order, fill, bounds and gaps are right, and the tree has count mappings. If not, *what
 * names the fault. No thread may change the tree meanwhile. O(n).
 */
bool mm__vma_tree_valid(const struct mm__vma_tree *tree, uint64_t count, const char **what);

#endif
