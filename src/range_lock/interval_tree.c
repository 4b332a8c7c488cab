/* SPDX-License-Identifier: MIT */
/*
 * Every change ends in rebalance(), called for the lowest changed node. It repairs heights, balance
 * and augmentation from there towards the root, until it comes to a node that does not change.
 */
#include "interval_tree.h"

static unsigned int height(const struct range__node *node)
{
	return node ? node->height : 0;
}

/* The order of the tree, and the range of a node. */
static uint64_t start_of(const struct range__node *node)
{
	return range__hold_of(node)->start;
}

static uint64_t end_of(const struct range__node *node)
{
	return range__hold_of(node)->end;
}

static bool writes(const struct range__node *node)
{
	return range__hold_of(node)->mode == RANGE_WRITE;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What a node records of its subtree. */
struct summary {
	uint64_t max_end;
	uint64_t max_write_end;
	unsigned int height;
};

static struct summary summarize(const struct range__node *node)
{
	const struct range__node *left = node->left, *right = node->right;
	struct summary s = {
		.max_end = end_of(node),
		.max_write_end = writes(node) ? end_of(node) : 0,
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

static bool summary_is(const struct range__node *node, struct summary s)
{
	return node->height == s.height && node->max_end == s.max_end &&
	       node->max_write_end == s.max_write_end;
}

static void update(struct range__node *node)
{
	struct summary s = summarize(node);

	node->height = (uint8_t)s.height;
	node->max_end = s.max_end;
	node->max_write_end = s.max_write_end;
}

static void set_left(struct range__node *node, struct range__node *child)
{
	node->left = child;
	if (child)
		child->parent = node;
}

static void set_right(struct range__node *node, struct range__node *child)
{
	node->right = child;
	if (child)
		child->parent = node;
}

/* Puts new in the place of old. */
static void replace_child(struct range__node **root, struct range__node *parent,
			  struct range__node *old, struct range__node *new)
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

static struct range__node *rotate_left(struct range__node **root, struct range__node *node)
{
	struct range__node *up = node->right;

	replace_child(root, node->parent, node, up);
	set_right(node, up->left);
	set_left(up, node);
	update(node);
	update(up);
	return up;
}

static struct range__node *rotate_right(struct range__node **root, struct range__node *node)
{
	struct range__node *up = node->left;

	replace_child(root, node->parent, node, up);
	set_left(node, up->right);
	set_right(up, node);
	update(node);
	update(up);
	return up;
}

/* Rotates if one side of node is two higher than the other; returns the root of the subtree. */
static struct range__node *rotate_if_needed(struct range__node **root, struct range__node *node)
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

static void rebalance(struct range__node **root, struct range__node *node)
{
	while (node) {
		struct summary before = { node->max_end, node->max_write_end, node->height };

		update(node);
		node = rotate_if_needed(root, node);
		if (summary_is(node, before))
			return;
		node = node->parent;
	}
}

/* Whether a, which is not in a tree, comes before b, which is. */
static bool comes_before(const struct range__node *a, const struct range__node *b)
{
	return start_of(a) < start_of(b) ||
	       (start_of(a) == start_of(b) &&
		(uintptr_t)range__hold_of(a) < (uintptr_t)range__hold_of(b));
}

void range__tree_insert(struct range__node **root, struct range__hold *hold, unsigned int which)
{
	struct range__node *range = &hold->node[which];
	struct range__node **link = root;
	struct range__node *parent = NULL;

	range->which = (uint8_t)which;
	while (*link) {
		parent = *link;
		link = comes_before(range, parent) ? &parent->left : &parent->right;
	}
	range->left = range->right = NULL;
	range->parent = parent;
	*link = range;
	update(range);
	rebalance(root, parent);
}

void range__tree_erase(struct range__node **root, struct range__node *range)
{
	struct range__node *parent = range->parent;
	struct range__node *next;

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
	/*
	 * As if nothing had changed here, so that the repair goes on upwards only where it has to.
	 */
	next->height = range->height;
	next->max_end = range->max_end;
	next->max_write_end = range->max_write_end;
	rebalance(root, parent);
	if (parent != next)
		rebalance(root, next);
}

void range__tree_update(struct range__node **root, struct range__node *range)
{
	rebalance(root, range);
}

struct range__node *range__tree_overlap(struct range__node *root, uint64_t start, uint64_t end,
					bool writers_only)
{
	struct range__node *node = root;

	/*
	 * If a range in the left subtree ends after start, then either it overlaps, or it starts at
	 * end or later, and so do all ranges to its right: the right subtree need not be searched.
	 */
	while (node) {
		const struct range__node *left = node->left;

		/*
		 * Both children at once: in a tree that is not in the cache, a search is nothing
		 * but waiting.
		 */
		__builtin_prefetch(node->right);
		if (left && (writers_only ? left->max_write_end : left->max_end) > start)
			node = node->left;
		else if (range__overlap(range__hold_of(node), start, end) &&
			 (!writers_only || writes(node)))
			return node;
		else if (start_of(node) >= end)
			return NULL;
		else
			node = node->right;
	}
	return NULL;
}

struct range__node *range__tree_first(struct range__node *root, uint64_t start, uint64_t end)
{
	return range__tree_overlap(root, start, end, false);
}

struct range__node *range__tree_next(struct range__node *range, uint64_t start, uint64_t end)
{
	struct range__node *node = range;

	for (;;) {
		struct range__node *parent;

		/*
		 * If a range there ends after start and none overlaps, all ranges that follow start
		 * too late.
		 */
		if (node->right && node->right->max_end > start)
			return range__tree_first(node->right, start, end);
		for (parent = node->parent; parent && node == parent->right; parent = node->parent)
			node = parent;
		node = parent;
		if (!node || start_of(node) >= end)
			return NULL;
		if (end_of(node) > start)
			return node;
	}
}

struct range__node *range__tree_from(struct range__node *root, uint64_t from, uintptr_t address)
{
	struct range__node *found = NULL;

	while (root) {
		if (start_of(root) > from ||
		    (start_of(root) == from && (uintptr_t)range__hold_of(root) >= address)) {
			found = root;
			root = root->left;
		} else {
			root = root->right;
		}
	}
	return found;
}

/* The tree of left, then middle, then right; left and right may be empty and of any height. */
static struct range__node *join_trees(struct range__node *left, struct range__node *middle,
				      struct range__node *right)
{
	struct range__node *root = middle, *parent = NULL;

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

static struct range__node *detach(struct range__node *node)
{
	if (node)
		node->parent = NULL;
	return node;
}

void range__tree_split(struct range__node **root, uint64_t point, struct range__node **right)
{
	struct range__node *node = *root, *last = NULL, *parent;
	struct range__node *below = NULL, *above = NULL;

	while (node) {
		last = node;
		node = start_of(node) >= point ? node->left : node->right;
	}
	/*
	 * Back up the path: what was below a node is in two trees already, and the node joins its
	 * other side to one of them.
	 */
	for (node = last; node; node = parent) {
		parent = node->parent;
		if (start_of(node) >= point)
			above = join_trees(above, node, detach(node->right));
		else
			below = join_trees(detach(node->left), node, below);
	}
	*root = below;
	*right = above;
}

static bool subtree_valid(const struct range__node *node, const struct range__node *parent,
			  const struct range__node **previous)
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
	if (*previous && !comes_before(*previous, node))
		return false;
	*previous = node;
	return subtree_valid(node->right, node, previous);
}

bool range__tree_valid(const struct range__node *root)
{
	const struct range__node *previous = NULL;

	return subtree_valid(root, NULL, &previous);
}
