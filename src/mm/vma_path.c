/* SPDX-License-Identifier: MIT */
#include "vma_path.h"

#include "vma_border.h"
#include "vma_edit.h"
#include "vma_lifetime.h"

void mm__path_descend(const struct mm__vma_tree *tree, uint64_t addr, struct path *path)
{
	struct mm__vma_node *node = mm__root(tree);

	path->levels = node->level + 1;
	path->owned = 0;
	path->index[0] = 0;
	for (unsigned int level = node->level; level; level--) {
		path->node[level] = node;
		path->index[level] = mm__route(mm__interior(node), addr);
		node = mm__child(node, path->index[level]);
	}
	path->node[0] = node;
}

struct mm__vma_node *mm__path_own(struct mm__vma_tree *tree, struct path *path, unsigned int level)
{
	for (; path->owned <= level; path->owned++) {
		unsigned int l = path->owned;

		path->node[l] = mm__vma_node_replace(tree, path->node[l]);
		if (l)
			mm__set_child(path->node[l], path->index[l], path->node[l - 1]);
	}
	return path->node[level];
}

void mm__path_publish(struct mm__vma_tree *tree, struct path *path)
{
	struct mm__vma_node *top = path->levels ? path->node[path->owned - 1] : NULL;

	tree->reshaped = true;
	atomic_store_explicit(&tree->levels, path->levels, memory_order_relaxed);
	if (path->owned < path->levels) {
		struct interior *parent = mm__interior(path->node[path->owned]);

		/* release [TREE-W1]: pairs with [TREE-R1] in mm__border_descend() */
		atomic_store_explicit(&parent->child[path->index[path->owned]], top,
				      memory_order_release);
	} else {
		/* release [TREE-W2]: pairs with [TREE-R2] in mm__root() */
		atomic_store_explicit(&tree->root, top, memory_order_release);
	}
}

bool mm__path_update_sum(struct path *path, unsigned int level)
{
	struct sum *sum = &mm__interior(path->node[level])->sum[path->index[level]];
	struct sum old = *sum;

	mm__record_sum(path->node[level], path->index[level], path->node[level - 1]);
	return level < path->owned || old.lo != sum->lo || old.hi != sum->hi || old.gap != sum->gap;
}

static void put_child(struct mm__vma_node *node, unsigned int i, uint64_t key,
		      struct mm__vma_node *child)
{
	if (i)
		mm__interior(node)->key[i - 1] = key;
	mm__set_child(node, i, child);
	mm__record_sum(node, i, child);
}

/*
 * Whether a change with the lock moves no key and no slot to another border node, so that it may be
 * made in the border node itself. The path leads to the border node.
 */
bool mm__path_keeps_keys(const struct path *path, uint64_t start, uint64_t end)
{
	bool below = false, above = false;

	for (unsigned int level = 1; level < path->levels && !(below && above); level++) {
		unsigned int i = path->index[level];
		const uint64_t *key = mm__interior(path->node[level])->key;

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

/*
 * For [TREE-B]: moves the keys on both sides of the border node apart, so that [start, end) lies
 * between them. The range has nothing of another border node. Each key is in the lowest node that
 * has a slot on that side.
 */
void mm__path_make_way(struct mm__vma_tree *tree, struct path *path, uint64_t start, uint64_t end)
{
	bool below = false, above = false;

	for (unsigned int level = 1; level < path->levels && !(below && above); level++) {
		unsigned int i = path->index[level];
		const uint64_t *key = mm__interior(path->node[level])->key;

		if (i && !below) {
			below = true;
			if (key[i - 1] > start)
				mm__interior(mm__path_own(tree, path, level))->key[i - 1] = start;
		}
		key = mm__interior(path->node[level])->key;
		if (i + 1 < path->node[level]->count && !above) {
			above = true;
			if (key[i] < end)
				mm__interior(mm__path_own(tree, path, level))->key[i] = end;
		}
	}
}

/*
 * Makes room for slot *i of *node, which is private. If the node is full, moves some of its slots
 * to a new node on its right, and returns that node with the key between the two. Then *node and *i
 * are the node and the slot that have the room, never the first slot of the new node. Half of the
 * slots move. If the caller adds a slot at an end, it is likely to add more there, so the node at
 * the other side stays as full as allowed.
 */
struct mm__vma_node *mm__make_room(struct mm__vma_tree *tree, struct mm__vma_node **node,
				   unsigned int *i, uint64_t *key)
{
	struct mm__vma_node *left = *node;
	struct mm__vma_node *right = NULL;
	unsigned int slots = left->count;
	unsigned int keep = slots / 2;

	if (slots >= mm__full(left)) {
		if (*i == slots)
			keep = slots - mm__least(left) + 1;
		else if (*i <= (left->level ? 1u : 0u))
			keep = mm__least(left) - 1;
		right = mm__vma_node_take(tree, left->level);
		mm__shift_right(left, right, slots - keep, key);
		if (*i > keep) {
			*node = right;
			*i -= keep;
		}
	}
	mm__open_slot(*node, *i);
	return right;
}

/* Makes a new root above the old one, and above its new neighbour if there is one. */
static void add_root(struct mm__vma_tree *tree, struct path *path, uint64_t key,
		     struct mm__vma_node *right)
{
	struct mm__vma_node *root = mm__vma_node_take(tree, path->levels);

	if (right) {
		root->count = 2;
		put_child(root, 0, 0, path->node[path->levels - 1]);
		put_child(root, 1, key, right);
	}
	path->node[path->levels++] = root;
	path->owned = path->levels;
}

void mm__path_begin(struct mm__vma_tree *tree, struct path *path)
{
	add_root(tree, path, 0, NULL);
}

/*
 * Takes a new node, on the right of the path's border node, into the tree. right is NULL if there
 * is none.
 */
void mm__path_climb(struct mm__vma_tree *tree, struct path *path, struct mm__vma_node *right,
		    uint64_t key)
{
	for (unsigned int level = 1; level < path->levels; level++) {
		struct mm__vma_node *added = right;
		struct mm__vma_node *node;
		uint64_t added_key = key;
		unsigned int i;

		if (added)
			mm__path_own(tree, path, level);
		if (!mm__path_update_sum(path, level))
			break;
		if (!added)
			continue;
		node = path->node[level];
		i = path->index[level] + 1;
		right = mm__make_room(tree, &node, &i, &key);
		put_child(node, i, added_key, added);
	}
	if (right)
		add_root(tree, path, key, right);
}

struct mm__vma_edit mm__path_edit_border(struct mm__vma_tree *tree, const struct path *path)
{
	mm__border_lock(tree, mm__border(path->node[0]));
	return (struct mm__vma_edit){ .tree = tree, .border = mm__border(path->node[0]) };
}

void mm__path_border_edited(struct path *path, struct mm__vma_edit *edit)
{
	mm__border_end_change(edit);
	for (unsigned int level = 1; level < path->levels; level++) {
		if (!mm__path_update_sum(path, level))
			break;
	}
}
