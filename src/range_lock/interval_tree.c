/* SPDX-License-Identifier: MIT */
/*
 * Everything goes through rebalance(): whoever changes a subtree calls it on the lowest changed
 * node, and it repairs heights, balance and augmentation from there towards the root, until a node
 * comes out as it was.
 */
#include "interval_tree.h"

static unsigned int height(const struct range_hold *node)
{
	return node ? node->height : 0;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What a node knows of its subtree. */
struct summary {
	uint64_t max_end;
	uint64_t max_write_end;
	unsigned int height;
};

static struct summary summarize(const struct range_hold *node)
{
	const struct range_hold *left = node->left, *right = node->right;
	struct summary s = {
		.max_end = node->end,
		.max_write_end = node->mode == RANGE_WRITE ? node->end : 0,
		.height = 1 + (height(left) > height(right) ? height(left) : height(right)),
	};

	if (left) {
		s.max_end = max_u64(s.max_end, left->max_end);
		s.max_write_end = max_u64(s.max_write_end, left->max_write_end);
	}
	if (right) {
		s.max_end = max_u64(s.max_end, right->max_end);
		s.max_write_end = max_u64(s.max_write_end, right->max_write_end);
	}
	return s;
}

static bool summary_is(const struct range_hold *node, struct summary s)
{
	return node->height == s.height && node->max_end == s.max_end &&
	       node->max_write_end == s.max_write_end;
}

static void update(struct range_hold *node)
{
	struct summary s = summarize(node);

	node->height = (uint8_t)s.height;
	node->max_end = s.max_end;
	node->max_write_end = s.max_write_end;
}

static void set_left(struct range_hold *node, struct range_hold *child)
{
	node->left = child;
	if (child)
		child->parent = node;
}

static void set_right(struct range_hold *node, struct range_hold *child)
{
	node->right = child;
	if (child)
		child->parent = node;
}

/* Puts new where old hangs. */
static void replace_child(struct range_hold **root, struct range_hold *parent,
			  struct range_hold *old, struct range_hold *new)
{
	if (!parent)
		*root = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
	if (new)
		new->parent = parent;
}

static struct range_hold *rotate_left(struct range_hold **root, struct range_hold *node)
{
	struct range_hold *up = node->right;

	replace_child(root, node->parent, node, up);
	set_right(node, up->left);
	set_left(up, node);
	update(node);
	update(up);
	return up;
}

static struct range_hold *rotate_right(struct range_hold **root, struct range_hold *node)
{
	struct range_hold *up = node->left;

	replace_child(root, node->parent, node, up);
	set_left(node, up->right);
	set_right(up, node);
	update(node);
	update(up);
	return up;
}

/* Rotates if one side of node is two higher than the other; returns the root of the subtree. */
static struct range_hold *balance(struct range_hold **root, struct range_hold *node)
{
	unsigned int left = height(node->left), right = height(node->right);

	if (left > right + 1) {
		if (height(node->left->right) > height(node->left->left))
			rotate_left(root, node->left);
		return rotate_right(root, node);
	}
	if (right > left + 1) {
		if (height(node->right->left) > height(node->right->right))
			rotate_right(root, node->right);
		return rotate_left(root, node);
	}
	return node;
}

static void rebalance(struct range_hold **root, struct range_hold *node)
{
	while (node) {
		struct summary before = { node->max_end, node->max_write_end, node->height };

		update(node);
		node = balance(root, node);
		if (summary_is(node, before))
			return;
		node = node->parent;
	}
}

/* Where b is in a tree, and a is not. */
static bool before(const struct range_hold *a, const struct range_hold *b)
{
	return a->start < b->start || (a->start == b->start && (uintptr_t)a < (uintptr_t)b);
}

void range__tree_insert(struct range_hold **root, struct range_hold *range)
{
	struct range_hold **link = root;
	struct range_hold *parent = NULL;

	while (*link) {
		parent = *link;
		link = before(range, parent) ? &parent->left : &parent->right;
	}
	range->left = range->right = NULL;
	range->parent = parent;
	*link = range;
	update(range);
	rebalance(root, parent);
}

void range__tree_erase(struct range_hold **root, struct range_hold *range)
{
	struct range_hold *parent = range->parent;
	struct range_hold *next;

	if (!range->left || !range->right) {
		replace_child(root, parent, range, range->left ? range->left : range->right);
		rebalance(root, parent);
		return;
	}
	/* The next range in order has no left child: it takes the place of range. */
	for (next = range->right; next->left;)
		next = next->left;
	if (next->parent == range) {
		parent = next;
	} else {
		parent = next->parent;
		replace_child(root, parent, next, next->right);
		set_right(next, range->right);
	}
	set_left(next, range->left);
	replace_child(root, range->parent, range, next);
	/* As if nothing had changed here, so that the repair goes on upwards only if it has to. */
	next->height = range->height;
	next->max_end = range->max_end;
	next->max_write_end = range->max_write_end;
	rebalance(root, parent);
	if (parent != next)
		rebalance(root, next);
}

void range__tree_update(struct range_hold **root, struct range_hold *range)
{
	rebalance(root, range);
}

struct range_hold *range__tree_overlap(struct range_hold *root, uint64_t start, uint64_t end,
				       bool writers_only)
{
	struct range_hold *node = root;

	/*
	 * If something in the left subtree ends after start, then either something in it overlaps,
	 * or it starts at end or later, and so does all that follows: the right side need not be
	 * seen.
	 */
	while (node) {
		const struct range_hold *left = node->left;

		/* Both at once: in a tree that is not in the cache, waiting for them is all there
		 * is to it. */
		__builtin_prefetch(node->right);
		if (left && (writers_only ? left->max_write_end : left->max_end) > start)
			node = node->left;
		else if (range__overlap(node, start, end) &&
			 (!writers_only || node->mode == RANGE_WRITE))
			return node;
		else if (node->start >= end)
			return NULL;
		else
			node = node->right;
	}
	return NULL;
}

struct range_hold *range__tree_first(struct range_hold *root, uint64_t start, uint64_t end)
{
	return range__tree_overlap(root, start, end, false);
}

struct range_hold *range__tree_next(struct range_hold *range, uint64_t start, uint64_t end)
{
	struct range_hold *node = range;

	for (;;) {
		struct range_hold *parent;

		/* If one there ends after start and none overlaps, all that follows starts too
		 * late. */
		if (node->right && node->right->max_end > start)
			return range__tree_first(node->right, start, end);
		for (parent = node->parent; parent && node == parent->right; parent = node->parent)
			node = parent;
		node = parent;
		if (!node || node->start >= end)
			return NULL;
		if (node->end > start)
			return node;
	}
}

struct range_hold *range__tree_from(struct range_hold *root, uint64_t from, uintptr_t address)
{
	struct range_hold *found = NULL;

	while (root) {
		if (root->start > from || (root->start == from && (uintptr_t)root >= address)) {
			found = root;
			root = root->left;
		} else {
			root = root->right;
		}
	}
	return found;
}

/* The tree of left, then middle, then right; left and right may be empty and of any height. */
static struct range_hold *join(struct range_hold *left, struct range_hold *middle,
			       struct range_hold *right)
{
	struct range_hold *root = middle, *parent = NULL;

	middle->parent = NULL;
	if (height(left) > height(right) + 1) {
		root = left;
		for (; height(left) > height(right) + 1; left = left->right)
			parent = left;
		set_right(parent, middle);
	} else if (height(right) > height(left) + 1) {
		root = right;
		for (; height(right) > height(left) + 1; right = right->left)
			parent = right;
		set_left(parent, middle);
	}
	set_left(middle, left);
	set_right(middle, right);
	update(middle);
	rebalance(&root, parent);
	return root;
}

static struct range_hold *detach(struct range_hold *node)
{
	if (node)
		node->parent = NULL;
	return node;
}

void range__tree_split(struct range_hold **root, uint64_t point, struct range_hold **right)
{
	struct range_hold *node = *root, *last = NULL, *parent;
	struct range_hold *below = NULL, *above = NULL;

	while (node) {
		last = node;
		node = node->start >= point ? node->left : node->right;
	}
	/* Back up the path: what was below a node is in two trees already, the node and its other
	 * side join one. */
	for (node = last; node; node = parent) {
		parent = node->parent;
		if (node->start >= point)
			above = join(above, node, detach(node->right));
		else
			below = join(detach(node->left), node, below);
	}
	*root = below;
	*right = above;
}

void range__tree_join(struct range_hold **root, struct range_hold *right)
{
	struct range_hold *middle = right;

	if (!right)
		return;
	while (middle->left)
		middle = middle->left;
	range__tree_erase(&right, middle);
	*root = join(*root, middle, right);
}

static bool subtree_valid(const struct range_hold *node, const struct range_hold *parent,
			  const struct range_hold **previous)
{
	if (!node)
		return true;
	if (node->parent != parent || height(node->left) > height(node->right) + 1 ||
	    height(node->right) > height(node->left) + 1)
		return false;
	if (!summary_is(node, summarize(node)))
		return false;
	if (!subtree_valid(node->left, node, previous))
		return false;
	if (*previous && !before(*previous, node))
		return false;
	*previous = node;
	return subtree_valid(node->right, node, previous);
}

bool range__tree_valid(const struct range_hold *root)
{
	const struct range_hold *previous = NULL;

	return subtree_valid(root, NULL, &previous);
}
