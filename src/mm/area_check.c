/* SPDX-License-Identifier: MIT */
/*
 * Whether an area_tree is what area_tree.c says it always is: (B), (E) and (F).
 */
#include "area_node.h"

#include <stddef.h>

struct check {
	uint64_t count;
	uint64_t end; /* of the last mapping seen */
	const char *what;
};

static bool fail(struct check *check, const char *what)
{
	check->what = what;
	return false;
}

/* What lies between the keys low and high. */
static bool check_leaf(struct check *check, const struct leaf *leaf, uint64_t low, uint64_t high)
{
	for (unsigned int i = 0; i < leaf->node.count; i++) {
		uint64_t start = leaf->start[i], end = leaf->rest[i].end;

		if (start >= end)
			return fail(check, "a mapping is empty");
		if (start < check->end)
			return fail(check, "mappings overlap or are out of order");
		if (start < low || end > high)
			return fail(check, "a mapping crosses a key");
		check->end = end;
	}
	check->count += leaf->node.count;
	return true;
}

static bool check_fill(struct check *check, const struct mm__area_node *node, unsigned int least)
{
	if (node->count < least || node->count > mm__slots(node))
		return fail(check, "a node of the tree has too few or too many slots");
	for (unsigned int i = node->count; i < mm__slots(node); i++) {
		if (UINT64_MAX !=
		    (node->level ? mm__inner(node)->key[i - 1] : mm__leaf(node)->start[i]))
			return fail(check, "there is a key in an unused slot");
	}
	return true;
}

static bool check_node(struct check *check, const struct mm__area_node *node, unsigned int level,
		       unsigned int least, uint64_t low, uint64_t high)
{
	if (node->level != level)
		return fail(check, "a node is on a wrong level");
	if (!check_fill(check, node, least))
		return false;
	if (!level)
		return check_leaf(check, mm__leaf(node), low, high);
	for (unsigned int i = 0; i < node->count; i++) {
		const struct mm__area_node *child = mm__child(node, i);
		const uint64_t *key = mm__inner(node)->key;
		struct sum sum = mm__slot_sum(node, i), right;

		if (!check_node(check, child, level - 1, mm__least(child), i ? key[i - 1] : low,
				i + 1 < node->count ? key[i] : high))
			return false;
		right = mm__node_sum(child);
		if (sum.lo != right.lo || sum.hi != right.hi)
			return fail(check, "the bounds of a subtree are wrong");
		if (sum.gap != right.gap)
			return fail(check, "the greatest gap of a subtree is wrong");
	}
	return true;
}

bool mm__area_tree_valid(const struct mm__area_tree *tree, const char **what)
{
	const struct mm__area_node *root = mm__root(tree);
	unsigned int levels = atomic_load_explicit(&tree->levels, memory_order_relaxed);
	struct check check = { 0, 0, NULL };

	if (!root != !levels)
		check.what = "an empty tree has levels, or another has none";
	else if (root && check_node(&check, root, levels - 1, levels > 1 ? 2 : 1, 0, UINT64_MAX) &&
		 check.count != tree->count)
		check.what = "the number of mappings is wrong";
	else if (!root && tree->count)
		check.what = "an empty tree has mappings";
	*what = check.what;
	return !check.what;
}
