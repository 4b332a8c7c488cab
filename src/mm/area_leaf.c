/* SPDX-License-Identifier: MIT */
/*
 * The leaves of an area_tree: looking something up in one, and changing one in place.
 *
 * A leaf is found by keys alone, see area_tree.c. Its slots change in two ways: in place, with its lock;
 * or a copy takes its place, made with the lock of the tree and that of the leaf, too. The copy is born
 * locked. A leaf that was replaced is dead: it stays as it was then, until no reader looks at it.
 *
 *	reader                              writer in place, with the leaf's lock
 *	[L1] seq: even? acquire             [L4] seq odd, relaxed
 *	[L2] slots, acquire                 [L5] slots, release
 *	[L3] seq as in L1? relaxed          [L6] seq even, release
 *
 * Claim: the slots that a reader has used at L3 are those of one moment. A slot that it loaded from a
 * later edit than the count of L1 was stored by an L5, after the L4 of that edit: so L3 loads that
 * L4 or a later store, and differs. All others it loaded from that edit or before; none from before, as
 * L1 saw the L6 after them. (Optimistic lock coupling, Leis et al., DaMoN 2016, has such leaves; the
 * count alone is that of a sequence lock, with Boehm's orders, MSPC 2012.)
 *
 * A reader that finds the count odd, or changed, for some time locks the leaf to read. So it waits for a
 * preempted writer as it waits for the lock of a page table, and not without end.
 *
 * For writers:
 *
 * (L-A) The lock of a leaf protects its slots, and all fields of struct leaf but those that only
 *       mm__area_tree_tidy() and the list of locked leaves use, which the lock of the tree protects.
 * (L-B) low and high are keys that the leaf lies between, or are nearer to each other than those. They
 *       change with the lock of the tree. Where a key moves into a leaf, that leaf is locked: the mapping
 *       that moves the key, and the leaf, touch the range of the edit, see mm__area_edit_locked().
 * (L-C) An edit in place stays between low and high, and touches neither: so it never moves a key, and what
 *       touches its range is in the leaf.
 * (L-D) An edit with the lock of the tree locks the leaves at both ends of its range, and beside them,
 *       before it looks at anything. Leaves between them have only mappings of the range, which no other
 *       writer changes.
 * (L-E) A thread with the lock of the tree may lock any number of leaves. A thread without it locks one
 *       leaf, and waits for nothing while it has it. So no threads wait in a circle.
 *
 * A leaf becomes strained when threads whose ranges do not touch change it in turn, or one thread looks at it
 * and others change it: by MM__STRAIN_STEP for each turn, and by one less for each use without a turn. Then
 * the leaf is divided between the threads. A thread that only looks keeps the strain in its struct
 * mm__area_look, as it writes nothing to the leaf. The parts of a divided leaf may stay sparse until no thread
 * has changed them for some time, which mm__area_tree_tidy() finds out.
 */
#include "area_node.h"
#include "lock.h"

#include <stddef.h>

/* Failed tries to read before the leaf is locked. */
#define READ_TRIES 64u

/*
 * Finding
 */

/* What is far away in a leaf comes at the same time, and not one line after the other. */
static void prefetch_leaf(const struct mm__area_node *node)
{
#ifdef __GNUC__
	for (size_t at = offsetof(struct leaf, seq); at < offsetof(struct leaf, lock); at += 64)
		__builtin_prefetch((const char *)node + at);
#else
	(void)node;
#endif
}

static inline struct leaf *descend(const struct mm__area_tree *tree, uint64_t addr)
{
	struct mm__area_node *node = mm__root(tree);
	unsigned int top = node ? node->level : 0;

	for (unsigned int level = top; level; level--) {
		const struct inner *inner = mm__inner(node);
		unsigned int i =
			level == top ? mm__route_root(inner, addr) : mm__route(inner, addr);

		/* acquire [R1]: pairs with [W1] in mm__path_publish() */
		node = atomic_load_explicit(&inner->child[i], memory_order_acquire);
		if (level == 1)
			prefetch_leaf(node);
	}
	return node ? mm__leaf(node) : NULL;
}

struct leaf *mm__leaf_of(const struct mm__area_tree *tree, uint64_t addr, uint64_t *low,
			 uint64_t *high)
{
	struct mm__area_node *node = mm__root(tree);

	*low = 0;
	*high = UINT64_MAX;
	while (node && node->level) {
		const struct inner *inner = mm__inner(node);
		unsigned int i = mm__route(inner, addr);

		if (i)
			*low = inner->key[i - 1];
		if (i + 1 < node->count)
			*high = inner->key[i];
		node = mm__child(node, i);
	}
	return node ? mm__leaf(node) : NULL;
}

/*
 * Reading
 */

static void lock_leaf(struct leaf *leaf, unsigned int level)
{
	mm__order_take(MM__ORDER_LEAF, level, 0);
	if (MM__LOCKING)
		mm__table_lock_take(&leaf->lock);
}

static void unlock_leaf(struct leaf *leaf)
{
	if (MM__LOCKING)
		mm__table_lock_drop(&leaf->lock);
	mm__order_drop(MM__ORDER_LEAF);
}

static bool read_begin(const struct leaf *leaf, uint64_t *seq)
{
	/* acquire [L1]: pairs with [L6] */
	*seq = atomic_load_explicit(&leaf->seq, memory_order_acquire);
	return !(*seq & 1);
}

static bool read_valid(const struct leaf *leaf, uint64_t seq)
{
	/* relaxed [L3]: the loads before are acquires, which keep it behind them */
	return atomic_load_explicit(&leaf->seq, memory_order_relaxed) == seq;
}

/* The mapping that contains addr; or, if next is set, the first one that ends above it. */
static bool look(const struct leaf *leaf, uint64_t addr, bool next, struct mm__mapping *m)
{
	unsigned int i;

	if (!next)
		return mm__leaf_at(leaf, addr, m);
	i = mm__leaf_find(leaf, addr);
	if (i == LEAF_SLOTS || mm__leaf_start(leaf, i) == UINT64_MAX)
		return false;
	mm__leaf_get(leaf, i, m);
	return true;
}

static bool look_locked(const struct leaf *leaf, uint64_t addr, bool next, struct mm__mapping *m)
{
	bool found;

	mm__rcu_read_lock();
	lock_leaf((struct leaf *)leaf, 0);
	found = look(leaf, addr, next, m);
	unlock_leaf((struct leaf *)leaf);
	mm__rcu_read_unlock();
	return found;
}

/* *seq: the count, if it is known. */
static bool read_leaf(const struct leaf *leaf, uint64_t addr, bool next, struct mm__mapping *m,
		      uint64_t *seq)
{
	for (unsigned int tries = READ_TRIES; tries; tries--) {
		if (read_begin(leaf, seq)) {
			bool found = look(leaf, addr, next, m);

			if (read_valid(leaf, *seq))
				return found;
		}
		mmrange__relax();
	}
	return look_locked(leaf, addr, next, m);
}

/* The usual case is here, and inlined: no writer is in the leaf. */
static inline bool read_at(const struct leaf *leaf, uint64_t addr, struct mm__mapping *m,
			   uint64_t *seq)
{
	bool found;

	if (read_begin(leaf, seq)) {
		found = mm__leaf_at(leaf, addr, m);
		if (read_valid(leaf, *seq))
			return found;
	}
	return read_leaf(leaf, addr, false, m, seq);
}

bool mm__area_tree_at(const struct mm__area_tree *tree, uint64_t addr, struct mm__mapping *m)
{
	const struct leaf *leaf = addr != UINT64_MAX ? descend(tree, addr) : NULL;
	uint64_t seq;

	return leaf && read_at(leaf, addr, m, &seq);
}

static inline void note_look(struct mm__area_look *look, const struct leaf *leaf, uint64_t seq)
{
	if (look->leaf != leaf)
		look->strain = look->passed = 0;
	else if (look->seq != seq)
		look->strain += MM__STRAIN_STEP;
	else if (look->strain)
		look->strain--;
	look->leaf = leaf;
	look->seq = seq;
}

bool mm__area_tree_look(const struct mm__area_tree *tree, uint64_t addr, struct mm__mapping *m,
			struct mm__area_look *look)
{
	const struct leaf *leaf = addr != UINT64_MAX ? descend(tree, addr) : NULL;
	uint64_t seq;

	if (!leaf || !read_at(leaf, addr, m, &seq))
		return false;
	note_look(look, leaf, seq);
	look->addr = addr;
	return true;
}

bool mm__area_tree_find(const struct mm__area_tree *tree, uint64_t addr, struct mm__mapping *m)
{
	while (addr != UINT64_MAX) {
		uint64_t low, high, seq;
		const struct leaf *leaf = mm__leaf_of(tree, addr, &low, &high);

		if (!leaf)
			return false;
		if (read_leaf(leaf, addr, true, m, &seq))
			return true;
		addr = high;
	}
	return false;
}

_Static_assert(MM__AREA_LIST >= LEAF_SLOTS, "a list has room for a leaf");

static void list_leaf(const struct leaf *leaf, uint64_t addr, struct mm__area_list *list)
{
	list->count = list->next = 0;
	for (unsigned int i = mm__leaf_find(leaf, addr); i < LEAF_SLOTS; i++) {
		mm__leaf_get(leaf, i, &list->m[list->count]);
		if (list->m[list->count].start == UINT64_MAX)
			return;
		list->count++;
	}
}

void mm__leaf_list(const struct leaf *leaf, uint64_t addr, struct mm__area_list *list)
{
	for (unsigned int tries = READ_TRIES; tries; tries--) {
		uint64_t seq;

		if (read_begin(leaf, &seq)) {
			list_leaf(leaf, addr, list);
			if (read_valid(leaf, seq))
				return;
		}
		mmrange__relax();
	}
	mm__rcu_read_lock();
	lock_leaf((struct leaf *)leaf, 0);
	list_leaf(leaf, addr, list);
	unlock_leaf((struct leaf *)leaf);
	mm__rcu_read_unlock();
}

bool mm__area_tree_list(const struct mm__area_tree *tree, uint64_t addr, struct mm__area_list *list)
{
	list->count = list->next = 0;
	while (addr != UINT64_MAX) {
		uint64_t low, high;
		const struct leaf *leaf = mm__leaf_of(tree, addr, &low, &high);

		if (!leaf)
			return false;
		mm__leaf_list(leaf, addr, list);
		if (list->count)
			return true;
		addr = high;
	}
	return false;
}

/*
 * Locking together with the tree
 */

static bool is_locked(const struct mm__area_tree *tree, const struct leaf *leaf)
{
	const struct leaf *locked = tree->locked;

	while (locked && locked != leaf)
		locked = locked->next_locked;
	return locked;
}

void mm__leaf_lock(struct mm__area_tree *tree, struct leaf *leaf)
{
	if (is_locked(tree, leaf))
		return;
	if (!tree->locked)
		mm__order_take(MM__ORDER_LEAF, 1, 0);
	if (MM__LOCKING)
		mm__table_lock_take(&leaf->lock);
	leaf->next_locked = tree->locked;
	tree->locked = leaf;
}

struct sum mm__leaf_tighten(const struct mm__area_tree *tree, struct leaf *leaf)
{
	bool locked = is_locked(tree, leaf);
	struct sum sum;

	mm__rcu_read_lock();
	if (!locked)
		lock_leaf(leaf, 0);
	sum = mm__node_sum(&leaf->node);
	if (mm__root(tree) != &leaf->node)
		leaf->recorded = sum;
	if (!locked)
		unlock_leaf(leaf);
	mm__rcu_read_unlock();
	return sum;
}

void mm__leaf_forget(struct mm__area_tree *tree, struct leaf *leaf)
{
	struct leaf **link = &tree->locked;

	while (*link != leaf)
		link = &(*link)->next_locked;
	*link = leaf->next_locked;
	if (!tree->locked)
		mm__order_drop(MM__ORDER_LEAF);
}

void mm__leaf_take_over(struct mm__area_tree *tree, struct leaf *copy, struct leaf *leaf)
{
	mm__leaf_lock(tree, leaf);
	copy->sparse = leaf->sparse;
	copy->writer = leaf->writer;
	copy->low = leaf->low;
	copy->high = leaf->high;
	copy->recorded = leaf->recorded;
	copy->last_start = leaf->last_start;
	copy->last_end = leaf->last_end;
	copy->too_strained = leaf->too_strained;
	copy->seen = leaf->seen;
	copy->seen_at = leaf->seen_at;
}

void mm__leaf_retire(struct mm__area_tree *tree, struct leaf *leaf)
{
	mm__leaf_lock(tree, leaf);
	leaf->dead = true;
}

void mm__leaf_widen(struct leaf *leaf)
{
	mm__rcu_read_lock();
	lock_leaf(leaf, 0);
	leaf->recorded = mm__no_bounds;
	unlock_leaf(leaf);
	mm__rcu_read_unlock();
}

/* (L-B): an address that leads to the leaf gives its keys. */
static void set_bounds(const struct mm__area_tree *tree, struct leaf *leaf)
{
	uint64_t inside[3] = { leaf->node.count ? mm__leaf_start(leaf, 0) : leaf->low, leaf->low,
			       leaf->high ? leaf->high - 1 : 0 };
	bool found = false;

	for (unsigned int i = 0; i < 3 && !found; i++)
		found = mm__leaf_of(tree, inside[i], &leaf->low, &leaf->high) == leaf;
	if (!found)
		leaf->low = leaf->high = 0;
	/* A root has no parent with bounds. */
	if (mm__root(tree) == &leaf->node)
		leaf->recorded = mm__no_bounds;
}

static void unlock_leaves(struct mm__area_tree *tree)
{
	if (!tree->locked)
		return;
	for (struct leaf *leaf = tree->locked; leaf; leaf = leaf->next_locked)
		if (!leaf->dead)
			set_bounds(tree, leaf);
	mm__rcu_read_lock();
	while (tree->locked) {
		struct leaf *leaf = tree->locked;

		tree->locked = leaf->next_locked;
		if (MM__LOCKING)
			mm__table_lock_drop(&leaf->lock);
	}
	mm__rcu_read_unlock();
	mm__order_drop(MM__ORDER_LEAF);
}

static void lock_leaf_at(struct mm__area_tree *tree, uint64_t addr)
{
	uint64_t low, high;
	struct leaf *leaf = mm__leaf_of(tree, addr, &low, &high);

	if (leaf)
		mm__leaf_lock(tree, leaf);
}

void mm__area_edit_also(struct mm__area_edit *edit, uint64_t start, uint64_t end)
{
	/* (L-D) */
	lock_leaf_at(edit->tree, start ? start - 1 : 0);
	lock_leaf_at(edit->tree, start);
	lock_leaf_at(edit->tree, end - 1);
	lock_leaf_at(edit->tree, end);
}

void mm__area_edit_locked(struct mm__area_edit *edit, struct mm__area_tree *tree,
			  struct mm__area_budget *budget, uint64_t start, uint64_t end)
{
	edit->tree = tree;
	edit->leaf = NULL;
	edit->begun = false;
	edit->budget = budget;
	mm__area_edit_also(edit, start, end);
}

/*
 * Editing in place
 */

/* (F): whether the stretch that is free when [start, end) has been taken out is within the leaf's bounds. */
static bool may_unmap(const struct leaf *leaf, uint64_t start, uint64_t end)
{
	unsigned int i = mm__leaf_find(leaf, start);
	unsigned int above = mm__leaf_find(leaf, end);
	struct mm__mapping m;
	uint64_t lo = UINT64_MAX, hi = 0;

	if (i < leaf->node.count && mm__leaf_start(leaf, i) < start) {
		hi = start;
	} else if (i) {
		mm__leaf_get(leaf, i - 1, &m);
		hi = m.end;
	}
	if (above < leaf->node.count) {
		lo = mm__leaf_start(leaf, above);
		lo = lo < end ? end : lo;
	}
	/* Without a mapping on both sides, it goes on in the next leaf. */
	return lo <= leaf->recorded.lo || hi >= leaf->recorded.hi ||
	       (hi && lo != UINT64_MAX && lo - hi <= leaf->recorded.gap);
}

static bool fits(const struct leaf *leaf, uint64_t start, uint64_t end)
{
	return (start > leaf->low || (!start && !leaf->low && leaf->high)) && end < leaf->high &&
	       leaf->node.count + LEAF_RESERVE <= LEAF_SLOTS;
}

/*
 * A key between two ranges that do not touch: below the most aligned address there. Places of other threads
 * begin or end at such an address, and must not touch a key, see (L-C). 0: there is none.
 */
static uint64_t key_between(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end)
{
	uint64_t below = end < other_start ? end : other_end;
	uint64_t last = (end < other_start ? other_start : start) - 1;
	uint64_t aligned;

	if (below >= last || !(end < other_start || other_end < start))
		return 0;
	aligned = last & ~((UINT64_C(1) << (63 - __builtin_clzll(below ^ last))) - 1);
	return aligned - 1 > below ? aligned - 1 : aligned;
}

static void note_writer(struct mm__area_edit *edit, uint64_t start, uint64_t end, uint32_t writer)
{
	struct leaf *leaf = edit->leaf;

	if (leaf->writer == writer) {
		leaf->strain -= leaf->strain ? 1 : 0;
	} else if (leaf->writer) {
		uint64_t key = key_between(start, end, leaf->last_start, leaf->last_end);

		leaf->strain += key ? MM__STRAIN_STEP : 0;
		if (key && leaf->strain >= leaf->too_strained) {
			leaf->strain = 0;
			edit->tidy = key;
			edit->divides = true;
		}
	}
	leaf->writer = (uint16_t)writer;
	leaf->last_start = start;
	leaf->last_end = end;
}

uint64_t mm__area_tree_key_beside(const struct mm__area_tree *tree, uint64_t addr, uint32_t writer)
{
	struct leaf *leaf = descend(tree, addr);
	struct mm__mapping m;
	uint64_t key = 0;

	if (!leaf)
		return 0;
	lock_leaf(leaf, 0);
	if (!leaf->dead && leaf->writer && leaf->writer != writer && mm__leaf_at(leaf, addr, &m))
		key = key_between(m.start, m.end, leaf->last_start, leaf->last_end);
	unlock_leaf(leaf);
	return key;
}

bool mm__area_edit_in_place(struct mm__area_edit *edit, struct mm__area_tree *tree, uint64_t start,
			    uint64_t end, uint32_t writer, bool unmaps)
{
	struct leaf *leaf;

	while ((leaf = descend(tree, start))) {
		lock_leaf(leaf, 0);
		if (!leaf->dead)
			break;
		unlock_leaf(leaf);
	}
	if (!leaf)
		return false;
	*edit = (struct mm__area_edit){ .tree = tree, .leaf = leaf };
	note_writer(edit, start, end, writer);
	if (fits(leaf, start, end)) {
		if (!unmaps || may_unmap(leaf, start, end))
			return true;
		edit->widens = true;
	}
	unlock_leaf(leaf);
	edit->leaf = NULL;
	return false;
}

static bool is_root(const struct leaf *leaf)
{
	return !leaf->low && leaf->high == UINT64_MAX;
}

/* [L4], before the first slot changes */
static void begin_change(struct mm__area_edit *edit)
{
	uint64_t seq = atomic_load_explicit(&edit->leaf->seq, memory_order_relaxed);

	if (edit->begun)
		return;
	edit->begun = true;
	/* relaxed: the stores of slots are releases, which keep it before them */
	atomic_store_explicit(&edit->leaf->seq, seq + 1, memory_order_relaxed);
}

static void end_in_place(struct mm__area_edit *edit)
{
	struct leaf *leaf = edit->leaf;
	uint64_t seq = atomic_load_explicit(&leaf->seq, memory_order_relaxed);

	/* release [L6]: pairs with [L1] */
	if (edit->begun)
		atomic_store_explicit(&leaf->seq, seq + 1, memory_order_release);
	/* Not while threads change it in turn: then it is to be divided rather. */
	if (edit->begun && !edit->tidy && !leaf->sparse && !leaf->strain && !is_root(leaf) &&
	    leaf->node.count < mm__least(&leaf->node))
		edit->tidy = leaf->low + 1;
	unlock_leaf(leaf);
}

void mm__area_edit_end(struct mm__area_edit *edit)
{
	if (edit->leaf)
		end_in_place(edit);
	else
		unlock_leaves(edit->tree);
}

void mm__leaf_insert(struct mm__area_edit *edit, const struct mm__mapping *m)
{
	unsigned int i = mm__begun(edit->leaf, m->start);

	begin_change(edit);
	mm__open_slot(&edit->leaf->node, i);
	mm__leaf_put(edit->leaf, i, m);
}

void mm__leaf_set(struct mm__area_edit *edit, uint64_t start, const struct mm__mapping *m)
{
	unsigned int i = mm__begun(edit->leaf, start) - 1;

	begin_change(edit);
	mm__leaf_put(edit->leaf, i, m);
}

void mm__leaf_erase(struct mm__area_edit *edit, uint64_t start, uint64_t end)
{
	unsigned int first = start ? mm__begun(edit->leaf, start - 1) : 0;
	unsigned int n = mm__begun(edit->leaf, end - 1) - first;

	if (!n)
		return;
	begin_change(edit);
	mm__close_slots(&edit->leaf->node, first, n);
}

bool mm__area_edit_at(const struct mm__area_edit *edit, uint64_t addr, struct mm__mapping *m)
{
	return edit->leaf ? mm__leaf_at(edit->leaf, addr, m)
			  : mm__area_tree_at(edit->tree, addr, m);
}

bool mm__area_edit_find(const struct mm__area_edit *edit, uint64_t addr, struct mm__mapping *m)
{
	return edit->leaf ? look(edit->leaf, addr, true, m)
			  : mm__area_tree_find(edit->tree, addr, m);
}

bool mm__area_edit_list(const struct mm__area_edit *edit, uint64_t addr, struct mm__area_list *list)
{
	if (!edit->leaf)
		return mm__area_tree_list(edit->tree, addr, list);
	list_leaf(edit->leaf, addr, list);
	return list->count;
}

/*
 * Room in one leaf
 */

/* The highest room that ends at top, between slot i and the mapping before it. */
static bool fits_below(const struct leaf *leaf, unsigned int i, uint64_t length, uint64_t low,
		       uint64_t top, uint64_t *addr)
{
	struct mm__mapping m = { 0, 0, NULL };

	if (i)
		mm__leaf_get(leaf, i - 1, &m);
	low = m.end > low ? m.end : low;
	if (top < low || top - low < length)
		return false;
	*addr = top - length;
	return true;
}

static bool gap_in_leaf(const struct leaf *leaf, uint64_t length, uint64_t low, uint64_t high,
			uint64_t margin, uint64_t *addr)
{
	unsigned int i = leaf->node.count;

	low = low < leaf->low ? leaf->low + 1 : low;
	high = high < leaf->high ? high : leaf->high - 1;
	while (i && mm__leaf_start(leaf, i - 1) > high)
		i--;
	if (high < margin || fits_below(leaf, i, length, low, high - margin, addr))
		return high >= margin;
	while (i--)
		if (fits_below(leaf, i, length, low, mm__leaf_start(leaf, i), addr))
			return true;
	return false;
}

bool mm__area_tree_leaf_gap(const struct mm__area_tree *tree, uint64_t length, uint64_t low,
			    uint64_t high, uint64_t margin, uint64_t *addr)
{
	struct leaf *leaf = descend(tree, *addr);
	bool found;

	if (!leaf)
		return false;
	lock_leaf(leaf, 0);
	found = !leaf->dead && leaf->high && gap_in_leaf(leaf, length, low, high, margin, addr);
	unlock_leaf(leaf);
	return found;
}
