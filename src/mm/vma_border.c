/* SPDX-License-Identifier: MIT */
/*
 * The border nodes of a vma_tree: looking up mappings in one, and changing one in place.
 *
 * A thread finds a border node by keys alone, see vma_tree.c. A writer changes its slots in one of
 * two ways. In place, it holds the lock of the border node. Otherwise it makes a copy, which takes
 * the place of the border node, and holds the lock of the tree and that of the border node. The
 * copy is locked from the start. A border node that was replaced is dead: its slots stay as they
 * were then, until no reader looks at it.
 *
 *	reader                                 writer in place, holding the border node's lock
 *	[BORDER-L1] seq: even? acquire         [BORDER-L4] seq odd, relaxed
 *	[BORDER-L2] slots, acquire             [BORDER-L5] slots, release
 *	[BORDER-L3] seq as before? relaxed     [BORDER-L6] seq even, release
 *
 * Claim: the slots that a reader has used when BORDER-L3 succeeds are those of one moment. Let the
 * count of BORDER-L1 be that of one edit. If the reader loaded a slot from a later edit, a
 * BORDER-L5 stored that slot after the BORDER-L4 of the same edit. BORDER-L3 then loads the value
 * of this BORDER-L4 or of a later store, and fails. The reader loaded all other slots from the edit
 * or from before it. It loaded no value that one of these edits replaced, because BORDER-L1 saw the
 * BORDER-L6 after their stores. (Optimistic lock coupling, Leis et al., DaMoN 2016, has such leaf
 * nodes. The count alone is that of a sequence lock, with the orders of Boehm, MSPC 2012.)
 *
 * A reader that finds the count odd, or changed, for some time locks the border node to read. It
 * then waits for a preempted writer as it would wait for the lock of a page table, and its wait
 * ends.
 *
 * For writers:
 *
 *	BORDER-A  The lock of a border node protects its slots, and all fields of struct border
 *	          except those that only mm__vma_tree_tidy() and the list of locked border nodes
 *	          use. The lock of the tree protects those.
 *	BORDER-B  low and high are the keys between which the border node lies, or lie closer
 *	          together than these keys. They change with the lock of the tree. If a key moves
 *	          into a border node, the writer has locked that border node: the mapping that moves
 *	          the key, and the border node, touch the range of the edit, see
 *	          mm__vma_edit_locked().
 *	BORDER-C  An edit in place stays between low and high, and touches neither. It therefore
 *	          never moves a key, and the border node has every mapping that touches its range.
 *	BORDER-D  An edit with the lock of the tree locks the border nodes at both ends of its
 *	          range, and beside them, before it looks at any mapping. Border nodes between them
 *	          have only mappings of the range, which no other writer changes.
 *	BORDER-E  A thread with the lock of the tree may lock any number of border nodes. A thread
 *	          without it waits for nothing while it has a border node locked. If it needs a
 *	          second border node, because mappings move from one to the other, it only tries to
 *	          lock the second. So no threads wait in a circle. Such a thread has both border
 *	          nodes locked before it changes either. A writer that has both locked therefore
 *	          sees the whole move or nothing of it. A reader may see one of the two changes
 *	          before the other.
 *
 * A border node becomes strained when threads whose ranges do not touch change it in turn, or when
 * one thread looks at it and others change it. The strain rises by MM__STRAIN_STEP for each turn,
 * and falls by one for each use without a turn. A strained border node is divided between the
 * threads. A thread that only looks keeps the strain in its struct mm__vma_look, so it writes
 * nothing to the border node. The parts of a divided border node may stay sparse until no thread
 * has changed them for some time, which mm__vma_tree_tidy() finds out.
 */
#include "lock.h"
#include "vma_node.h"

#include <stddef.h>

/* Attempts to read before the reader locks the border node. */
#define READ_TRIES 64u

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*
 * Finding
 */

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

static inline struct border *descend(const struct mm__vma_tree *tree, uint64_t addr)
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

struct border *mm__border_of(const struct mm__vma_tree *tree, uint64_t addr, uint64_t *low,
			     uint64_t *high)
{
	struct mm__vma_node *node = mm__root(tree);

	*low = 0;
	*high = UINT64_MAX;
	while (node && node->level) {
		const struct interior *interior = mm__interior(node);
		unsigned int i = mm__route(interior, addr);

		if (i)
			*low = interior->key[i - 1];
		if (i + 1 < node->count)
			*high = interior->key[i];
		node = mm__child(node, i);
	}
	return node ? mm__border(node) : NULL;
}

/*
 * Reading
 */

static void lock_border(struct border *border, unsigned int level)
{
	mm__order_take(MM__ORDER_BORDER, level, 0);
	if (MM__LOCKING)
		mm__table_lock_take(&border->lock);
}

/* Locks a second border node, by [BORDER-E]. */
static bool try_lock_border(struct border *border)
{
	if (MM__LOCKING && !mm__table_lock_try(&border->lock))
		return false;
	mm__order_take(MM__ORDER_BORDER, 0, 1);
	return true;
}

static void unlock_border(struct border *border)
{
	if (MM__LOCKING)
		mm__table_lock_drop(&border->lock);
	mm__order_drop(MM__ORDER_BORDER);
}

static bool read_begin(const struct border *border, uint64_t *seq)
{
	/* acquire [BORDER-L1]: pairs with [BORDER-L6] */
	*seq = atomic_load_explicit(&border->seq, memory_order_acquire);
	return !(*seq & 1);
}

static bool read_valid(const struct border *border, uint64_t seq)
{
	/* relaxed [BORDER-L3]: the acquire loads of the slots keep this load behind them */
	return atomic_load_explicit(&border->seq, memory_order_relaxed) == seq;
}

/* Finds the mapping that contains addr; or, if next is set, the first one that ends above addr. */
static bool look(const struct border *border, uint64_t addr, bool next, struct mm__mapping *m)
{
	unsigned int i;

	if (!next)
		return mm__border_at(border, addr, m);
	i = mm__border_find(border, addr);
	if (i == BORDER_SLOTS || mm__border_start(border, i) == UINT64_MAX)
		return false;
	mm__border_get(border, i, m);
	return true;
}

static bool look_locked(const struct border *border, uint64_t addr, bool next,
			struct mm__mapping *m)
{
	bool found;

	mm__rcu_read_lock();
	lock_border((struct border *)border, 0);
	found = look(border, addr, next, m);
	unlock_border((struct border *)border);
	mm__rcu_read_unlock();
	return found;
}

/* As look(), but at one moment. Returns false if a writer changed the border node meanwhile. */
static inline bool read_once(const struct border *border, uint64_t addr, bool next,
			     struct mm__mapping *m, uint64_t *seq, bool *found)
{
	if (!read_begin(border, seq))
		return false;
	*found = look(border, addr, next, m);
	return read_valid(border, *seq);
}

/* Stores the count in *seq, unless it has to lock the border node. */
static bool read_border(const struct border *border, uint64_t addr, bool next,
			struct mm__mapping *m, uint64_t *seq)
{
	for (unsigned int tries = READ_TRIES; tries; tries--) {
		bool found;

		if (read_once(border, addr, next, m, seq, &found))
			return found;
		mmrange__relax();
	}
	return look_locked(border, addr, next, m);
}

bool mm__vma_tree_at(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m)
{
	const struct border *border = addr != UINT64_MAX ? descend(tree, addr) : NULL;
	uint64_t seq;

	return border && read_border(border, addr, false, m, &seq);
}

static inline void note_look(struct mm__vma_look *look, const struct border *border, uint64_t addr,
			     uint64_t seq)
{
	look->addr = addr;
	if (look->border == border && look->seq == seq) {
		look->strain -= look->strain ? 1 : 0;
		return;
	}
	if (look->border != border)
		look->strain = look->passed = 0;
	else
		look->strain += MM__STRAIN_STEP;
	look->border = border;
	look->seq = seq;
}

__attribute__((noinline)) static bool look_again(const struct border *border, uint64_t addr,
						 struct mm__mapping *m, struct mm__vma_look *look)
{
	uint64_t seq;
	bool found = read_border(border, addr, false, m, &seq);

	if (found)
		note_look(look, border, addr, seq);
	return found;
}

/*
 * In the usual case no writer is in the border node. That case needs no stack, because this
 * function decides how fast a fault is.
 */
bool mm__vma_tree_look(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m,
		       struct mm__vma_look *look)
{
	const struct border *border = addr != UINT64_MAX ? descend(tree, addr) : NULL;
	uint64_t seq;
	bool found;

	if (!border)
		return false;
	if (!read_once(border, addr, false, m, &seq, &found))
		return look_again(border, addr, m, look);
	if (found)
		note_look(look, border, addr, seq);
	return found;
}

bool mm__vma_tree_find(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m)
{
	while (addr != UINT64_MAX) {
		uint64_t low, high, seq;
		const struct border *border = mm__border_of(tree, addr, &low, &high);

		if (!border)
			return false;
		if (read_border(border, addr, true, m, &seq))
			return true;
		addr = high;
	}
	return false;
}

_Static_assert(MM__VMA_LIST >= BORDER_SLOTS, "a list has room for a leaf");

static void list_border(const struct border *border, uint64_t addr, struct mm__vma_list *list)
{
	list->count = list->next = 0;
	for (unsigned int i = mm__border_find(border, addr); i < BORDER_SLOTS; i++) {
		mm__border_get(border, i, &list->m[list->count]);
		if (list->m[list->count].start == UINT64_MAX)
			return;
		list->count++;
	}
}

void mm__border_list(const struct border *border, uint64_t addr, struct mm__vma_list *list)
{
	for (unsigned int tries = READ_TRIES; tries; tries--) {
		uint64_t seq;

		if (read_begin(border, &seq)) {
			list_border(border, addr, list);
			if (read_valid(border, seq))
				return;
		}
		mmrange__relax();
	}
	mm__rcu_read_lock();
	lock_border((struct border *)border, 0);
	list_border(border, addr, list);
	unlock_border((struct border *)border);
	mm__rcu_read_unlock();
}

bool mm__vma_tree_list(const struct mm__vma_tree *tree, uint64_t addr, struct mm__vma_list *list)
{
	list->count = list->next = 0;
	while (addr != UINT64_MAX) {
		uint64_t low, high;
		const struct border *border = mm__border_of(tree, addr, &low, &high);

		if (!border)
			return false;
		mm__border_list(border, addr, list);
		if (list->count)
			return true;
		addr = high;
	}
	return false;
}

/*
 * Locking together with the tree
 */

static bool is_locked(const struct mm__vma_tree *tree, const struct border *border)
{
	const struct border *locked = tree->locked;

	while (locked && locked != border)
		locked = locked->next_locked;
	return locked;
}

void mm__border_lock(struct mm__vma_tree *tree, struct border *border)
{
	if (is_locked(tree, border))
		return;
	if (!tree->locked)
		mm__order_take(MM__ORDER_BORDER, 1, 0);
	if (MM__LOCKING)
		mm__table_lock_take(&border->lock);
	border->next_locked = tree->locked;
	tree->locked = border;
}

struct sum mm__border_tighten(const struct mm__vma_tree *tree, struct border *border)
{
	bool locked = is_locked(tree, border);
	struct sum sum;

	mm__rcu_read_lock();
	if (!locked)
		lock_border(border, 0);
	sum = mm__node_sum(&border->node);
	if (mm__root(tree) != &border->node)
		border->recorded = sum;
	if (!locked)
		unlock_border(border);
	mm__rcu_read_unlock();
	return sum;
}

void mm__border_forget(struct mm__vma_tree *tree, struct border *border)
{
	struct border **link = &tree->locked;

	while (*link != border)
		link = &(*link)->next_locked;
	*link = border->next_locked;
	if (!tree->locked)
		mm__order_drop(MM__ORDER_BORDER);
}

void mm__border_take_over(struct mm__vma_tree *tree, struct border *copy, struct border *border)
{
	mm__border_lock(tree, border);
	copy->sparse = border->sparse;
	copy->writer = border->writer;
	copy->low = border->low;
	copy->high = border->high;
	copy->recorded = border->recorded;
	copy->last_start = border->last_start;
	copy->last_end = border->last_end;
	copy->too_strained = border->too_strained;
	copy->seen = border->seen;
	copy->seen_at = border->seen_at;
}

void mm__border_retire(struct mm__vma_tree *tree, struct border *border)
{
	mm__border_lock(tree, border);
	border->dead = true;
}

/* [BORDER-B]. A root has no parent that bounds it. */
static void set_keys(const struct mm__vma_tree *tree, struct border *border, uint64_t low,
		     uint64_t high)
{
	border->low = low;
	border->high = high;
	if (mm__root(tree) == &border->node)
		border->recorded = mm__no_bounds;
}

/* Finds the keys of the border node by an address that leads to it. */
static void set_bounds(const struct mm__vma_tree *tree, struct border *border)
{
	uint64_t inside[3] = { border->node.count ? mm__border_start(border, 0) : border->low,
			       border->low, border->high ? border->high - 1 : 0 };
	uint64_t low, high;

	for (unsigned int i = 0; i < 3; i++) {
		if (mm__border_of(tree, inside[i], &low, &high) == border) {
			set_keys(tree, border, low, high);
			return;
		}
	}
	set_keys(tree, border, 0, 0);
}

static void unlock_leaves(struct mm__vma_tree *tree)
{
	if (!tree->locked)
		return;
	for (struct border *border = tree->locked; border && tree->reshaped;
	     border = border->next_locked)
		if (!border->dead)
			set_bounds(tree, border);
	tree->reshaped = false;
	mm__rcu_read_lock();
	while (tree->locked) {
		struct border *border = tree->locked;

		tree->locked = border->next_locked;
		if (MM__LOCKING)
			mm__table_lock_drop(&border->lock);
	}
	mm__rcu_read_unlock();
	mm__order_drop(MM__ORDER_BORDER);
}

void mm__vma_edit_also(struct mm__vma_edit *edit, uint64_t start, uint64_t end)
{
	/* [BORDER-D]. No key leads beyond UINT64_MAX - 1. */
	const uint64_t addr[4] = { start ? start - 1 : 0, start, end - 1,
				   end < UINT64_MAX ? end : end - 1 };
	uint64_t low = 0, high = 0;

	for (unsigned int i = 0; i < 4; i++) {
		struct border *border;

		/* The border node of the address before has this one, too. */
		if (addr[i] >= low && addr[i] < high)
			continue;
		border = mm__border_of(edit->tree, addr[i], &low, &high);
		if (!border)
			return;
		mm__border_lock(edit->tree, border);
		/* Since the last edit with the lock, keys may have moved away from it. */
		set_keys(edit->tree, border, low, high);
	}
}

void mm__vma_edit_locked(struct mm__vma_edit *edit, struct mm__vma_tree *tree,
			 struct mm__vma_budget *budget, uint64_t start, uint64_t end)
{
	edit->tree = tree;
	edit->border = NULL;
	edit->begun = false;
	edit->budget = budget;
	mm__vma_edit_also(edit, start, end);
}

/*
 * Editing in place
 */

/*
 * The stretch [hi, lo) that is free when [start, end) has been taken out, in the terms of a sum. If
 * the border node has no mapping on one side, the stretch goes on in the next border node.
 */
static struct sum stretch_without(const struct border *border, uint64_t start, uint64_t end)
{
	unsigned int i = mm__border_find(border, start);
	unsigned int above = mm__border_find(border, end);
	struct sum stretch = { UINT64_MAX, 0, UINT64_MAX };
	struct mm__mapping m;

	if (i < border->node.count && mm__border_start(border, i) < start) {
		stretch.hi = start;
	} else if (i) {
		mm__border_get(border, i - 1, &m);
		stretch.hi = m.end;
	}
	if (above < border->node.count) {
		stretch.lo = mm__border_start(border, above);
		stretch.lo = stretch.lo < end ? end : stretch.lo;
	}
	if (stretch.hi && stretch.lo != UINT64_MAX)
		stretch.gap = stretch.lo - stretch.hi;
	return stretch;
}

/* [TREE-F]: whether the stretch is within the border node's bounds. */
static bool may_unmap(const struct border *border, uint64_t start, uint64_t end)
{
	struct sum stretch = stretch_without(border, start, end);

	return stretch.lo <= border->recorded.lo ||
	       (stretch.hi && stretch.hi >= border->recorded.hi) ||
	       (stretch.gap != UINT64_MAX && stretch.gap <= border->recorded.gap);
}

static uint64_t twice(uint64_t length)
{
	return length > UINT64_MAX / 2 ? UINT64_MAX : 2 * length;
}

/*
 * Makes the bounds as wide as they have to be, so that a search for a longer stretch still passes
 * the border node. Makes them at least twice as wide as before, for threads that unmap a little
 * more each time.
 */
static void widen(struct sum *bounds, const struct sum *stretch, uint64_t low, uint64_t high)
{
	if (stretch->gap != UINT64_MAX) {
		bounds->gap = max(stretch->gap, twice(bounds->gap));
	} else if (stretch->lo != UINT64_MAX) {
		uint64_t width = twice(bounds->lo > low ? bounds->lo - low : 0);
		uint64_t lo = width < UINT64_MAX - low ? low + width : UINT64_MAX;

		bounds->lo = max(stretch->lo, min(lo, bounds->hi));
	} else if (stretch->hi) {
		uint64_t width = twice(bounds->hi < high ? high - bounds->hi : 0);

		bounds->hi = min(stretch->hi, max(width < high ? high - width : 0, bounds->lo));
	} else {
		*bounds = mm__no_bounds;
	}
}

void mm__border_widen(struct border *border, uint64_t start, uint64_t end)
{
	struct sum stretch;

	mm__rcu_read_lock();
	lock_border(border, 0);
	/* While the thread waited for the VMA tree lock, the bounds may have become wide enough. */
	if (!may_unmap(border, start, end)) {
		stretch = stretch_without(border, start, end);
		widen(&border->recorded, &stretch, border->low, border->high);
	}
	unlock_border(border);
	mm__rcu_read_unlock();
}

static bool fits(const struct border *border, uint64_t start, uint64_t end)
{
	return (start > border->low || (!start && !border->low && border->high)) &&
	       end < border->high && border->node.count + BORDER_RESERVE <= BORDER_SLOTS;
}

bool mm__vma_edit_includes(struct mm__vma_edit *edit, uint64_t start, uint64_t end, bool unmaps)
{
	bool here = fits(edit->border, start, end);

	edit->widens = here && unmaps && !may_unmap(edit->border, start, end);
	if (!here || edit->widens)
		return false;
	edit->start = start < edit->start ? start : edit->start;
	edit->end = end > edit->end ? end : edit->end;
	return true;
}

uint64_t mm__vma_edit_reach(const struct mm__vma_edit *edit)
{
	return edit->border->high;
}

unsigned int mm__vma_edit_room(const struct mm__vma_edit *edit)
{
	return BORDER_SLOTS - edit->border->node.count;
}

/*
 * Returns a key between two ranges that do not touch: just below the most aligned address there.
 * The places of other threads begin or end at such an address, and by [BORDER-C] must not touch a
 * key. If there is room, each range keeps as much of it beside the key as it is long, because its
 * thread may well use the addresses next to it. Returns 0 if there is no key.
 */
static uint64_t key_between(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end)
{
	uint64_t below = end, last = other_start - 1;
	uint64_t room_below = end - start, room_above = other_end - other_start;
	uint64_t aligned;

	if (start > other_start)
		return key_between(other_start, other_end, start, end);
	if (end >= other_start || below >= last)
		return 0;
	if (room_below < last - below && room_above < last - below - room_below) {
		below += room_below;
		last -= room_above;
	}
	aligned = last & ~((UINT64_C(1) << (63 - __builtin_clzll(below ^ last))) - 1);
	return aligned - 1 > below ? aligned - 1 : aligned;
}

static void note_writer(struct mm__vma_edit *edit)
{
	struct border *border = edit->border;

	if (border->writer == edit->writer) {
		border->strain -= border->strain ? 1 : 0;
		/* A part of the range that it changed before: the end of a move, for example. */
		if (edit->start >= border->last_start && edit->end <= border->last_end)
			return;
	} else if (border->writer) {
		uint64_t key =
			key_between(edit->start, edit->end, border->last_start, border->last_end);

		border->strain += key ? MM__STRAIN_STEP : 0;
		if (key && border->strain >= border->too_strained) {
			border->strain = 0;
			edit->tidy = key;
			edit->divides = true;
		}
	}
	border->writer = (uint16_t)edit->writer;
	border->last_start = edit->start;
	border->last_end = edit->end;
}

uint64_t mm__vma_tree_key_beside(const struct mm__vma_tree *tree, uint64_t addr, uint32_t writer)
{
	struct border *border = descend(tree, addr);
	struct mm__mapping m;
	uint64_t key = 0;

	if (!border)
		return 0;
	lock_border(border, 0);
	if (!border->dead && border->writer && border->writer != writer &&
	    mm__border_at(border, addr, &m))
		key = key_between(m.start, m.end, border->last_start, border->last_end);
	unlock_border(border);
	return key;
}

/* The border node is locked. Unlocks it if the edit cannot begin. */
static bool begin_in_place(struct mm__vma_edit *edit, uint64_t start, uint64_t end, uint32_t writer,
			   bool unmaps)
{
	edit->start = start;
	edit->end = end;
	edit->writer = writer;
	if (mm__vma_edit_includes(edit, start, end, unmaps))
		return true;
	note_writer(edit);
	unlock_border(edit->border);
	edit->border = NULL;
	return false;
}

bool mm__vma_edit_in_place(struct mm__vma_edit *edit, struct mm__vma_tree *tree, uint64_t start,
			   uint64_t end, uint32_t writer, bool unmaps)
{
	struct border *border;

	while ((border = descend(tree, start))) {
		lock_border(border, 0);
		if (!border->dead)
			break;
		unlock_border(border);
	}
	if (!border)
		return false;
	*edit = (struct mm__vma_edit){ .tree = tree, .border = border };
	return begin_in_place(edit, start, end, writer, unmaps);
}

bool mm__vma_edit_second(struct mm__vma_edit *edit, const struct mm__vma_edit *first,
			 uint64_t start, uint64_t end, uint32_t writer, bool unmaps)
{
	struct border *border = descend(first->tree, start);

	*edit = (struct mm__vma_edit){ .tree = first->tree };
	if (border == first->border)
		return false;
	/* A dead border node was locked until a moment ago. */
	edit->busy = !try_lock_border(border);
	if (!edit->busy && border->dead) {
		edit->busy = true;
		unlock_border(border);
	}
	if (edit->busy)
		return false;
	edit->border = border;
	return begin_in_place(edit, start, end, writer, unmaps);
}

static bool is_root(const struct border *border)
{
	return !border->low && border->high == UINT64_MAX;
}

/* [BORDER-L4], before the first slot changes */
static void begin_change(struct mm__vma_edit *edit)
{
	uint64_t seq = atomic_load_explicit(&edit->border->seq, memory_order_relaxed);

	if (edit->begun)
		return;
	edit->begun = true;
	/* relaxed: the stores of slots are releases, which keep this store before them */
	atomic_store_explicit(&edit->border->seq, seq + 1, memory_order_relaxed);
}

void mm__border_end_change(struct mm__vma_edit *edit)
{
	uint64_t seq = atomic_load_explicit(&edit->border->seq, memory_order_relaxed);

	/* release [BORDER-L6]: pairs with [BORDER-L1] */
	if (edit->begun)
		atomic_store_explicit(&edit->border->seq, seq + 1, memory_order_release);
}

static void end_in_place(struct mm__vma_edit *edit)
{
	struct border *border = edit->border;

	mm__border_end_change(edit);
	note_writer(edit);
	/*
	 * Not while threads change the border node in turn: it is then to be divided rather than
	 * joined.
	 */
	if (edit->begun && !edit->tidy && !border->sparse && !border->strain && !is_root(border) &&
	    border->node.count < mm__least(&border->node))
		edit->tidy = border->low + 1;
	unlock_border(border);
}

void mm__vma_edit_end(struct mm__vma_edit *edit)
{
	if (edit->border)
		end_in_place(edit);
	else
		unlock_leaves(edit->tree);
}

void mm__border_insert(struct mm__vma_edit *edit, const struct mm__mapping *m)
{
	unsigned int i = mm__begun(edit->border, m->start);

	begin_change(edit);
	mm__open_slot(&edit->border->node, i);
	mm__border_put(edit->border, i, m);
}

void mm__border_set(struct mm__vma_edit *edit, uint64_t start, const struct mm__mapping *m)
{
	unsigned int i = mm__begun(edit->border, start) - 1;

	begin_change(edit);
	mm__border_put(edit->border, i, m);
}

void mm__border_erase(struct mm__vma_edit *edit, uint64_t start, uint64_t end)
{
	unsigned int first = start ? mm__begun(edit->border, start - 1) : 0;
	unsigned int n = mm__begun(edit->border, end - 1) - first;

	if (!n)
		return;
	begin_change(edit);
	mm__close_slots(&edit->border->node, first, n);
}

bool mm__vma_edit_at(const struct mm__vma_edit *edit, uint64_t addr, struct mm__mapping *m)
{
	return edit->border ? mm__border_at(edit->border, addr, m)
			    : mm__vma_tree_at(edit->tree, addr, m);
}

bool mm__vma_edit_find(const struct mm__vma_edit *edit, uint64_t addr, struct mm__mapping *m)
{
	return edit->border ? look(edit->border, addr, true, m)
			    : mm__vma_tree_find(edit->tree, addr, m);
}

bool mm__vma_edit_list(const struct mm__vma_edit *edit, uint64_t addr, struct mm__vma_list *list)
{
	if (!edit->border)
		return mm__vma_tree_list(edit->tree, addr, list);
	list_border(edit->border, addr, list);
	return list->count;
}

/*
 * Room in one border node
 */

/* The highest free place that ends at top, between slot i and the mapping before it. */
static bool fits_below(const struct border *border, unsigned int i, uint64_t length, uint64_t low,
		       uint64_t top, uint64_t *addr)
{
	struct mm__mapping m = { 0, 0, NULL };

	if (i)
		mm__border_get(border, i - 1, &m);
	low = m.end > low ? m.end : low;
	if (top < low || top - low < length)
		return false;
	*addr = top - length;
	return true;
}

static bool gap_in_border(const struct border *border, uint64_t length, uint64_t low, uint64_t high,
			  uint64_t margin, uint64_t *addr)
{
	unsigned int i = border->node.count;

	low = low < border->low ? border->low + 1 : low;
	high = high < border->high ? high : border->high - 1;
	while (i && mm__border_start(border, i - 1) > high)
		i--;
	if (high < margin || fits_below(border, i, length, low, high - margin, addr))
		return high >= margin;
	while (i--)
		if (fits_below(border, i, length, low, mm__border_start(border, i), addr))
			return true;
	return false;
}

bool mm__vma_tree_border_gap(const struct mm__vma_tree *tree, uint64_t length, uint64_t low,
			     uint64_t high, uint64_t margin, uint64_t *addr)
{
	struct border *border = descend(tree, *addr);
	bool found;

	if (!border)
		return false;
	lock_border(border, 0);
	found = !border->dead && border->high &&
		gap_in_border(border, length, low, high, margin, addr);
	unlock_border(border);
	return found;
}
