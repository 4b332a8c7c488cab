/* SPDX-License-Identifier: MIT */
/*
 * Changing a tree with its lock. What a node is stands in area_node.h, how a leaf changes in place in
 * area_leaf.c. A change that moves no key, and no mapping to another leaf, is made in the leaf as it is, with
 * the lock of the leaf, too. Any other copies the nodes that it changes, from the leaf up to the highest one,
 * and publishes them all by one store: into the parent of the highest, or into the root.
 *
 * What always holds, for all threads:
 *
 * (A) Level and keys of an inner node that readers can reach never change.
 * (B) A mapping lies between the keys that its leaf lies between. So there is one way from a node
 *     to the mapping at an address, by keys alone. A mapping that would cross the key between two
 *     leaves makes that key move, in a copy of the node that has it and of all below it on the way
 *     to the leaf.
 * (C) A mapping changes over to another leaf, or a node to another parent, only in copies: of both
 *     leaves or parents, and of all nodes between them and the lowest one that they have in common,
 *     and of that one.
 * (D) A node that was replaced is never changed any more, and is not freed while a thread reads that
 *     may have found it.
 *
 * And for a writer with the lock, between changes:
 *
 * (E) Each node but the root uses at least a third of its slots, but for leaves that are marked as
 *     sparse, or that an edit in place has emptied and mm__area_tree_tidy() has not seen yet. A root that
 *     is no leaf has at least two children.
 * (F) The sum of a slot bounds the mappings below it: the first one begins at lo or below, the last one ends
 *     at hi or above, and each free stretch is no longer than gap, or lies below lo, or lies above hi. If lo
 *     is above hi, there may be no mapping. A leaf records its bounds itself, too, so that an edit in place
 *     keeps to them.
 *
 * Why a reader misses nothing that is mapped all the time: let a node be on its way to an address,
 * and have what is mapped there below it. By (A) and (B) it goes on to the right child. As long as
 * the node is part of the tree, that stays below the same slot, by (C), and so it is below the
 * child that the reader loads. If the node has been replaced, its child is one of the time when
 * that happened, by (D); it had the mapping then, and as long as it is itself part of the tree
 * elsewhere keeps it, by (C), and when it is no more, by (D). A leaf has the mapping in each state that a
 * reader may see of it, because an edit in place is one step for readers.
 *
 *	what is written first			by release	found by acquire	then read
 *	a private node, and all below it	[W1] a child	[R1] a child		that node
 *	the same				[W2] the root	[R2] the root		that node
 *	an area, by the caller			[L5], [W1], [W2] [L2], [R1], [R2]	through m->area
 *
 * That a node is free of readers when it is freed is rcu.h's business. Counts of spares and levels
 * are hints for a thread that looks without the lock: relaxed.
 */
#include "area_path.h"

/* How long a leaf stays sparse that no thread changes. */
#define COLD_NS UINT64_C(100000000)

/* Leaves that are passed over for the next one that is sparse. */
#define PASSED 32u

/* A leaf that could not be divided is not tried again before twice the strain, up to this. */
#define MOST_STRAIN (UINT32_C(1) << 20)

void mm__path_descend(const struct mm__area_tree *tree, uint64_t addr, struct path *path)
{
	struct mm__area_node *node = mm__root(tree);

	path->levels = node->level + 1;
	path->owned = 0;
	path->index[0] = 0;
	for (unsigned int level = node->level; level; level--) {
		path->node[level] = node;
		path->index[level] = mm__route(mm__inner(node), addr);
		node = mm__child(node, path->index[level]);
	}
	path->node[0] = node;
}

struct mm__area_node *mm__path_own(struct mm__area_tree *tree, struct path *path,
				   unsigned int level)
{
	for (; path->owned <= level; path->owned++) {
		unsigned int l = path->owned;

		path->node[l] = mm__area_node_replace(tree, path->node[l]);
		if (l)
			mm__set_child(path->node[l], path->index[l], path->node[l - 1]);
	}
	return path->node[level];
}

void mm__path_publish(struct mm__area_tree *tree, struct path *path)
{
	struct mm__area_node *top = path->levels ? path->node[path->owned - 1] : NULL;

	tree->reshaped = true;
	atomic_store_explicit(&tree->levels, path->levels, memory_order_relaxed);
	if (path->owned < path->levels) {
		struct inner *parent = mm__inner(path->node[path->owned]);

		/* Release [W1]: pairs with [R1] in mm__area_tree_at(). */
		atomic_store_explicit(&parent->child[path->index[path->owned]], top,
				      memory_order_release);
	} else {
		/* Release [W2]: pairs with [R2] in mm__root(). */
		atomic_store_explicit(&tree->root, top, memory_order_release);
	}
}

bool mm__path_update_sum(struct path *path, unsigned int level)
{
	struct sum *sum = &mm__inner(path->node[level])->sum[path->index[level]];
	struct sum old = *sum;

	mm__record_sum(path->node[level], path->index[level], path->node[level - 1]);
	return level < path->owned || old.lo != sum->lo || old.hi != sum->hi || old.gap != sum->gap;
}

void mm__put_child(struct mm__area_node *node, unsigned int i, uint64_t key,
		   struct mm__area_node *child)
{
	if (i)
		mm__inner(node)->key[i - 1] = key;
	mm__set_child(node, i, child);
	mm__record_sum(node, i, child);
}

/*
 * (B): moves the keys on both sides of the leaf so far apart that [start, end) is between them,
 * which holds nothing of another leaf. Each is in the lowest node that has something on that side.
 */
static void make_way(struct mm__area_tree *tree, struct path *path, uint64_t start, uint64_t end)
{
	bool below = false, above = false;

	for (unsigned int level = 1; level < path->levels && !(below && above); level++) {
		unsigned int i = path->index[level];
		const uint64_t *key = mm__inner(path->node[level])->key;

		if (i && !below) {
			below = true;
			if (key[i - 1] > start)
				mm__inner(mm__path_own(tree, path, level))->key[i - 1] = start;
		}
		key = mm__inner(path->node[level])->key;
		if (i + 1 < path->node[level]->count && !above) {
			above = true;
			if (key[i] < end)
				mm__inner(mm__path_own(tree, path, level))->key[i] = end;
		}
	}
}

/*
 * Makes room for slot *i of *node, which is private. If it is full, some of its slots go to a new
 * node on its right, which is returned, with the key between the two; *node and *i then say where
 * the room is, never in the first slot of the new node. Half of them go; but where slots are added
 * at an end, more will be, and the other node is left as full as may be.
 */
static struct mm__area_node *make_room(struct mm__area_tree *tree, struct mm__area_node **node,
				       unsigned int *i, uint64_t *key)
{
	struct mm__area_node *left = *node;
	struct mm__area_node *right = NULL;
	unsigned int slots = left->count;
	unsigned int keep = slots / 2;

	if (slots >= mm__full(left)) {
		if (*i == slots)
			keep = slots - mm__least(left) + 1;
		else if (*i <= (left->level ? 1u : 0u))
			keep = mm__least(left) - 1;
		right = mm__area_node_take(tree, left->level);
		mm__shift_right(left, right, slots - keep, key);
		if (*i > keep) {
			*node = right;
			*i -= keep;
		}
	}
	mm__open_slot(*node, *i);
	return right;
}

/* A new root, above what was one, and its new neighbour if there is one. */
static void add_root(struct mm__area_tree *tree, struct path *path, uint64_t key,
		     struct mm__area_node *right)
{
	struct mm__area_node *root = mm__area_node_take(tree, path->levels);

	if (right) {
		root->count = 2;
		mm__put_child(root, 0, 0, path->node[path->levels - 1]);
		mm__put_child(root, 1, key, right);
	}
	path->node[path->levels++] = root;
	path->owned = path->levels;
}

/* Takes a new node, on the right of the leaf of the path, into the tree; NULL: there is none. */
static void climb(struct mm__area_tree *tree, struct path *path, struct mm__area_node *right,
		  uint64_t key)
{
	for (unsigned int level = 1; level < path->levels; level++) {
		struct mm__area_node *new = right;
		struct mm__area_node *node;
		uint64_t new_key = key;
		unsigned int i;

		if (new)
			mm__path_own(tree, path, level);
		if (!mm__path_update_sum(path, level))
			break;
		if (!new)
			continue;
		node = path->node[level];
		i = path->index[level] + 1;
		right = make_room(tree, &node, &i, &key);
		mm__put_child(node, i, new_key, new);
	}
	if (right)
		add_root(tree, path, key, right);
}

/*
 * Where no key moves, and no slot goes to another leaf, a change with the lock is one of the leaf as it is, too.
 * The path leads to the leaf.
 */
static bool keeps_keys(const struct path *path, uint64_t start, uint64_t end)
{
	bool below = false, above = false;

	for (unsigned int level = 1; level < path->levels && !(below && above); level++) {
		unsigned int i = path->index[level];
		const uint64_t *key = mm__inner(path->node[level])->key;

		if (i && !below) {
			below = true;
			if (key[i - 1] > start)
				return false;
		}
		if (i + 1 < path->node[level]->count && !above) {
			above = true;
			if (key[i] < end)
				return false;
		}
	}
	return true;
}

struct mm__area_edit mm__path_edit_leaf(struct mm__area_tree *tree, const struct path *path)
{
	mm__leaf_lock(tree, mm__leaf(path->node[0]));
	return (struct mm__area_edit){ .tree = tree, .leaf = mm__leaf(path->node[0]) };
}

void mm__path_leaf_edited(struct path *path, struct mm__area_edit *edit)
{
	mm__leaf_end_change(edit);
	for (unsigned int level = 1; level < path->levels; level++) {
		if (!mm__path_update_sum(path, level))
			break;
	}
}

/* False: the leaf is full, or a key has to move. Bounds need not become narrower. */
static bool insert_in_leaf(struct mm__area_tree *tree, struct path *path,
			   const struct mm__mapping *m)
{
	struct mm__area_edit edit = mm__path_edit_leaf(tree, path);

	if (edit.leaf->node.count >= mm__full(&edit.leaf->node) ||
	    !keeps_keys(path, m->start, m->end))
		return false;
	mm__leaf_insert(&edit, m);
	mm__leaf_end_change(&edit);
	return true;
}

static bool set_in_leaf(struct mm__area_tree *tree, struct path *path, uint64_t start,
			const struct mm__mapping *m)
{
	struct mm__area_edit edit = mm__path_edit_leaf(tree, path);

	if (!keeps_keys(path, m->start, m->end))
		return false;
	mm__leaf_set(&edit, start, m);
	mm__path_leaf_edited(path, &edit);
	return true;
}

void mm__area_tree_insert(struct mm__area_edit *edit, const struct mm__mapping *m)
{
	struct mm__area_tree *tree = edit->tree;
	struct path path = { .levels = 0 };
	struct mm__area_node *node, *right;
	uint64_t key = 0;
	unsigned int i;

	if (edit->leaf) {
		mm__leaf_insert(edit, m);
		return;
	}
	mm__area_change(tree, edit->budget);
	if (!mm__root(tree)) {
		add_root(tree, &path, 0, NULL);
	} else {
		mm__path_descend(tree, m->start, &path);
		if (insert_in_leaf(tree, &path, m))
			return;
	}
	node = mm__path_own(tree, &path, 0);
	make_way(tree, &path, m->start, m->end);
	i = mm__begun(mm__leaf(node), m->start);
	right = make_room(tree, &node, &i, &key);
	mm__leaf_put(mm__leaf(node), i, m);
	climb(tree, &path, right, key);
	mm__path_publish(tree, &path);
}

void mm__area_tree_set(struct mm__area_edit *edit, uint64_t start, const struct mm__mapping *m)
{
	struct mm__area_tree *tree = edit->tree;
	struct path path;
	struct mm__area_node *leaf;

	if (edit->leaf) {
		mm__leaf_set(edit, start, m);
		return;
	}
	mm__area_change(tree, edit->budget);
	mm__path_descend(tree, start, &path);
	if (set_in_leaf(tree, &path, start, m))
		return;
	leaf = mm__path_own(tree, &path, 0);
	make_way(tree, &path, m->start, m->end);
	mm__leaf_put(mm__leaf(leaf), mm__begun(mm__leaf(leaf), start) - 1, m);
	climb(tree, &path, NULL, 0);
	mm__path_publish(tree, &path);
}

void mm__area_tree_clear(struct mm__area_edit *edit, uint64_t start, uint64_t end)
{
	uint64_t low, high;

	if (edit->leaf || !mm__leaf_of(edit->tree, start, &low, &high))
		return;
	/* Where a leaf has nothing but this, a mapping that grows over it would leave it nothing. */
	if (end > high || (end == high && start == low))
		mm__area_tree_remove_leaves(edit, start, end);
}

/*
 * Tidying
 */

/* Divides the leaf at a key that is in no mapping; both parts may stay sparse. */
static void divide(struct mm__area_edit *edit, uint64_t key, uint64_t now)
{
	struct mm__area_tree *tree = edit->tree;
	struct mm__area_node *left, *right;
	struct path path;
	unsigned int i;

	mm__area_change(tree, edit->budget);
	mm__path_descend(tree, key, &path);
	left = mm__path_own(tree, &path, 0);
	i = mm__begun(mm__leaf(left), key - 1);
	right = mm__area_node_take(tree, 0);
	mm__leaf(right)->low = key;
	mm__leaf(right)->high = mm__leaf(left)->high;
	mm__leaf(left)->sparse = mm__leaf(right)->sparse = true;
	mm__leaf(left)->too_strained = MM__STRAIN_SPLIT;
	mm__leaf(left)->seen = mm__leaf(right)->seen = 0;
	mm__leaf(left)->seen_at = mm__leaf(right)->seen_at = now;
	if (i < left->count)
		mm__shift_right(left, right, left->count - i, &(uint64_t){ 0 });
	climb(tree, &path, right, key);
	mm__path_publish(tree, &path);
}

static bool can_divide(const struct mm__area_tree *tree, uint64_t key)
{
	struct mm__mapping m;
	uint64_t low, high;

	mm__leaf_of(tree, key, &low, &high);
	return key > low && !(mm__area_tree_at(tree, key, &m) && m.start < key);
}

static bool too_few(const struct mm__area_tree *tree, const struct leaf *leaf)
{
	return !leaf->sparse && leaf->node.count < mm__least(&leaf->node) &&
	       &leaf->node != mm__root(tree);
}

/* The next leaf that is sparse, or one a few leaves further on. *low leads to it. */
static struct leaf *next_sparse(struct mm__area_tree *tree, uint64_t *low)
{
	struct leaf *leaf = NULL;

	for (unsigned int i = 0; i < PASSED && (!leaf || !leaf->sparse); i++) {
		leaf = mm__leaf_of(tree, tree->next_look, low, &tree->next_look);
		if (tree->next_look == UINT64_MAX)
			tree->next_look = 0;
	}
	return leaf;
}

/* A sparse leaf that no thread has changed for some time since it was looked at is not sparse any more. */
static void look_at_next(struct mm__area_edit *edit, uint64_t now)
{
	struct mm__area_tree *tree = edit->tree;
	uint64_t low;
	struct leaf *leaf = next_sparse(tree, &low);
	uint64_t seq;

	mm__leaf_lock(tree, leaf);
	/* relaxed: it changes with the lock of the leaf only */
	seq = atomic_load_explicit(&leaf->seq, memory_order_relaxed);
	if (leaf->seen != seq || !leaf->seen_at) {
		leaf->seen = seq;
		leaf->seen_at = now;
	} else if (now - leaf->seen_at >= COLD_NS) {
		leaf->sparse = false;
	}
	if (too_few(tree, leaf))
		mm__area_tree_refill(edit, low);
}

/* low: the key below the leaf. If it is the key itself, another thread has divided the leaf there already. */
static void divide_or_not(struct mm__area_edit *edit, struct leaf *leaf, uint64_t key, uint64_t low,
			  uint64_t now)
{
	if (key <= low)
		return;
	/* Beside the most aligned address; or there, if one mapping ends where another begins. */
	if (can_divide(edit->tree, key))
		divide(edit, key, now);
	else if (can_divide(edit->tree, key + 1))
		divide(edit, key + 1, now);
	else if (leaf->too_strained < MOST_STRAIN)
		leaf->too_strained *= 2;
}

void mm__area_tree_tidy(struct mm__area_edit *edit, uint64_t addr, bool divides, uint64_t now)
{
	struct mm__area_tree *tree = edit->tree;
	uint64_t low, high;
	struct leaf *leaf = mm__leaf_of(tree, addr, &low, &high);

	if (!leaf)
		return;
	mm__leaf_lock(tree, leaf);
	if (divides)
		divide_or_not(edit, leaf, addr, low, now);
	else if (too_few(tree, leaf))
		mm__area_tree_refill(edit, low);
	for (unsigned int i = 1; i < MM__TIDY_CHANGES && mm__root(tree); i++)
		look_at_next(edit, now);
}

struct mm__garbage *mm__area_tree_take_retired(struct mm__area_tree *tree)
{
	struct mm__garbage *retired = tree->retired;

	tree->retired = NULL;
	return retired;
}
