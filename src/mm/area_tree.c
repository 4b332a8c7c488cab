/* SPDX-License-Identifier: MIT */
/*
 * What a node is stands in area_node.h. A change copies the nodes that it changes, from the leaf up
 * to the highest one, and publishes them all by one store: into the parent of the highest, or into
 * the root. Most changes copy a leaf and nothing else.
 *
 * What always holds, for everybody:
 *
 * (A) Level, count and keys of a node that readers can reach never change, nor do the mappings of a
 *     leaf.
 * (B) A mapping lies between the keys that its leaf lies between. So there is one way from a node
 *     to the mapping at an address, by keys alone. A mapping that would cross the key between two
 *     leaves makes that key move, in a copy of the node that has it and of all below it on the way
 *     to the leaf.
 * (C) A mapping changes over to another leaf, or a node to another parent, only in copies: of both
 *     leaves or parents, and of all nodes between them and the lowest one that they have in common,
 *     and of that one.
 * (D) A node that was replaced is never changed any more, and is not freed while somebody reads who
 *     may have found it.
 *
 * And for the writer, between changes:
 *
 * (E) Each node but the root uses at least a third of its slots, a root that is no leaf at least
 *     two, and a root that is a leaf one: O(log n) levels, at most MAX_LEVELS.
 * (F) The sum of a slot is that of the node below it.
 *
 * Why a reader misses nothing that is mapped all the time: let a node be on its way to an address,
 * and have what is mapped there below it. By (A) and (B) it goes on to the right child. As long as
 * the node is part of the tree, that stays below the same slot, by (C), and so it is below the
 * child that the reader loads. If the node has been replaced, its child is one of the time when
 * that happened, by (D); it had the mapping then, and as long as it is itself part of the tree
 * elsewhere keeps it, by (C), and when it is no more, by (D).
 *
 *	what is written first			by release	found by acquire	then read
 *	a private node, and all below it	[W1] a child	[R1] a child		that node
 *	the same				[W2] the root	[R2] the root		that node
 *	an area, by the caller			[W1] or [W2]	[R1] or [R2]		through m->area
 *
 * That a node is free of readers when it is freed is rcu.h's business. Counts of spares and levels
 * are hints for whom looks without the lock: relaxed.
 */
#include "area_path.h"

#include <stddef.h>

/*
 * Looking up
 */

static void get_mapping(const struct leaf *leaf, unsigned int i, struct mm__mapping *m)
{
	*m = (struct mm__mapping){ leaf->start[i], leaf->rest[i].end, leaf->rest[i].area };
}

/* What is far away in a leaf comes at the same time, and not one line after the other. */
static void prefetch_leaf(const struct mm__area_node *node)
{
#ifdef __GNUC__
	for (size_t at = offsetof(struct leaf, start) & ~(size_t)63; at < sizeof(struct leaf);
	     at += 64)
		__builtin_prefetch((const char *)node + at);
#else
	(void)node;
#endif
}

bool mm__area_tree_at(const struct mm__area_tree *tree, uint64_t addr, struct mm__mapping *m)
{
	const struct mm__area_node *node = mm__root(tree);
	unsigned int i;

	if (!node || addr == UINT64_MAX)
		return false;
	for (unsigned int level = node->level; level; level--) {
		const struct inner *inner = mm__inner(node);

		i = mm__route(inner, addr);
		/* Acquire [R1]: pairs with [W1] in publish(). */
		node = atomic_load_explicit(&inner->child[i], memory_order_acquire);
		if (level == 1)
			prefetch_leaf(node);
	}
	i = mm__begun(mm__leaf(node), addr);
	if (!i || mm__leaf(node)->rest[i - 1].end <= addr)
		return false;
	get_mapping(mm__leaf(node), i - 1, m);
	return true;
}

/* The leaf, and the slot in it, of the first mapping that ends above addr. NULL: there is none. */
static const struct leaf *find_leaf(const struct mm__area_tree *tree, uint64_t addr,
				    unsigned int *slot)
{
	const struct mm__area_node *node = mm__root(tree);
	unsigned int i;

	if (!node || addr == UINT64_MAX)
		return NULL;
	for (; node->level; node = mm__child(node, i)) {
		i = mm__route(mm__inner(node), addr);
		if (mm__inner(node)->sum[i].hi <= addr)
			i++;
		/* Only in the root: further down, the last slot ends above addr. */
		if (i == node->count)
			return NULL;
	}
	i = mm__begun(mm__leaf(node), addr);
	if (i && mm__leaf(node)->rest[i - 1].end > addr)
		i--;
	*slot = i;
	return i == node->count ? NULL : mm__leaf(node);
}

bool mm__area_tree_find(const struct mm__area_tree *tree, uint64_t addr, struct mm__mapping *m)
{
	unsigned int i;
	const struct leaf *leaf = find_leaf(tree, addr, &i);

	if (leaf)
		get_mapping(leaf, i, m);
	return leaf;
}

_Static_assert(MM__AREA_LIST >= LEAF_SLOTS, "a list has room for a leaf");

bool mm__area_tree_list(const struct mm__area_tree *tree, uint64_t addr,
			struct mm__area_list *list)
{
	unsigned int i;
	const struct leaf *leaf = find_leaf(tree, addr, &i);

	list->count = list->next = 0;
	for (; leaf && i < leaf->node.count; i++)
		get_mapping(leaf, i, &list->m[list->count++]);
	return leaf;
}

/*
 * Changing
 */

void mm__path_descend(const struct mm__area_tree *tree, uint64_t addr, struct path *path)
{
	struct mm__area_node *node = mm__root(tree);

	path->levels = node->level + 1;
	path->owned = 0;
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

	*sum = mm__node_sum(path->node[level - 1]);
	return level < path->owned || old.lo != sum->lo || old.hi != sum->hi || old.gap != sum->gap;
}

static void put_mapping(struct mm__area_node *node, unsigned int i, const struct mm__mapping *m)
{
	struct leaf *leaf = mm__leaf(node);

	leaf->start[i] = m->start;
	leaf->rest[i].end = m->end;
	leaf->rest[i].area = m->area;
}

void mm__put_child(struct mm__area_node *node, unsigned int i, uint64_t key,
		   struct mm__area_node *child)
{
	if (i)
		mm__inner(node)->key[i - 1] = key;
	mm__set_child(node, i, child);
	mm__inner(node)->sum[i] = mm__node_sum(child);
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
	unsigned int slots = mm__slots(left);
	unsigned int keep = slots / 2;

	if (left->count == slots) {
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

void mm__area_tree_insert(struct mm__area_tree *tree, struct mm__area_budget *budget,
			  const struct mm__mapping *m)
{
	struct path path = { .levels = 0 };
	struct mm__area_node *node, *right;
	uint64_t key = 0;
	unsigned int i;

	mm__area_change(tree, budget);
	if (mm__root(tree))
		mm__path_descend(tree, m->start, &path);
	else
		add_root(tree, &path, 0, NULL);
	node = mm__path_own(tree, &path, 0);
	make_way(tree, &path, m->start, m->end);
	i = mm__begun(mm__leaf(node), m->start);
	right = make_room(tree, &node, &i, &key);
	put_mapping(node, i, m);
	for (unsigned int level = 1; level < path.levels; level++) {
		struct mm__area_node *new = right;
		uint64_t new_key = key;

		if (new)
			mm__path_own(tree, &path, level);
		if (!mm__path_update_sum(&path, level))
			break;
		if (!new)
			continue;
		node = path.node[level];
		i = path.index[level] + 1;
		right = make_room(tree, &node, &i, &key);
		mm__put_child(node, i, new_key, new);
	}
	if (right)
		add_root(tree, &path, key, right);
	tree->count++;
	mm__path_publish(tree, &path);
}

void mm__area_tree_set(struct mm__area_tree *tree, struct mm__area_budget *budget, uint64_t start,
		       const struct mm__mapping *m)
{
	struct path path;
	struct mm__area_node *leaf;

	mm__area_change(tree, budget);
	mm__path_descend(tree, start, &path);
	leaf = mm__path_own(tree, &path, 0);
	make_way(tree, &path, m->start, m->end);
	put_mapping(leaf, mm__begun(mm__leaf(leaf), start) - 1, m);
	for (unsigned int level = 1; level < path.levels; level++) {
		if (!mm__path_update_sum(&path, level))
			break;
	}
	mm__path_publish(tree, &path);
}

struct mm__garbage *mm__area_tree_take_retired(struct mm__area_tree *tree)
{
	struct mm__garbage *retired = tree->retired;

	tree->retired = NULL;
	return retired;
}
