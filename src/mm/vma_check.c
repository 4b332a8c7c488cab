/* SPDX-License-Identifier: MIT */
/*
 * Whether a vma_tree keeps TREE-B, TREE-E and TREE-F of vma_path.h, and BORDER-B of vma_border.h.
 */
#include "vma_node.h"

#include <stddef.h>

struct check {
	const struct mm__vma_node *root;
	uint64_t count;
	uint64_t end; /* of the last mapping seen */
	const char *what;
};

static bool fail_check(struct check *check, const char *what)
{
	check->what = what;
	return false;
}

/* Checks the mappings of a border node between the keys low and high. */
static bool check_mappings(struct check *check, const struct border *border, uint64_t low,
			   uint64_t high)
{
	for (unsigned int i = 0; i < border->node.count; i++) {
		struct mm__mapping m;

		mm__border_get(border, i, &m);
		if (m.start >= m.end)
			return fail_check(check, "a mapping is empty");
		if (m.start < check->end)
			return fail_check(check, "mappings overlap or are out of order");
		if (m.start < low || m.end > high)
			return fail_check(check, "a mapping crosses a key");
		check->end = m.end;
	}
	check->count += border->node.count;
	return true;
}

/* [TREE-F]: each free stretch is below lo, or above hi, or no longer than gap. */
static bool keeps_bounds(const struct border *border, const struct sum *bounds)
{
	uint64_t end = 0;

	if (!mm__maybe_empty(bounds) &&
	    (!border->node.count || mm__border_start(border, 0) > bounds->lo))
		return false;
	for (unsigned int i = 0; i < border->node.count; i++) {
		struct mm__mapping m;

		mm__border_get(border, i, &m);
		if (m.start > bounds->lo && end < bounds->hi && (!i || m.start - end > bounds->gap))
			return false;
		end = m.end;
	}
	return end >= bounds->hi || bounds->lo == UINT64_MAX;
}

static bool check_border(struct check *check, const struct border *border, uint64_t low,
			 uint64_t high)
{
	if (border->dead)
		return fail_check(check, "a border node of the tree is dead");
	if (atomic_load_explicit(&border->seq, memory_order_relaxed) & 1)
		return fail_check(check, "a border node is being changed");
	/* The border node need not know keys that have moved away from it. */
	if (border->high && (border->low < low || border->high > high))
		return fail_check(check, "a border node goes over the keys around it");
	if (!keeps_bounds(border, &border->recorded))
		return fail_check(check, "a border node goes over the bounds that it has recorded");
	return check_mappings(check, border, low, high);
}

/* A border node may have any number of mappings. */
static unsigned int least_slots(const struct check *check, const struct mm__vma_node *node)
{
	if (!node->level)
		return 0;
	return node == check->root ? 2 : mm__least(node);
}

static bool check_fill(struct check *check, const struct mm__vma_node *node)
{
	if (node->count < least_slots(check, node) || node->count > mm__slots(node))
		return fail_check(check, "a node of the tree has too few or too many slots");
	for (unsigned int i = node->count; i < mm__slots(node); i++) {
		if (UINT64_MAX != (node->level ? mm__interior(node)->key[i - 1]
					       : mm__border_start(mm__border(node), i)))
			return fail_check(check, "there is a key in an unused slot");
	}
	return true;
}

/*
 * The bounds that a border node records itself are within those of its slot, and so is the sum of
 * an interior node.
 */
static bool check_sum(struct check *check, const struct mm__vma_node *child,
		      const struct sum *recorded)
{
	struct sum sum = child->level ? mm__node_sum(child) : mm__border(child)->recorded;

	if (sum.lo > recorded->lo || sum.hi < recorded->hi)
		return fail_check(check, "the bounds of a subtree are wrong");
	if (sum.gap > recorded->gap)
		return fail_check(check, "the greatest gap of a subtree is wrong");
	return true;
}

static bool check_node(struct check *check, const struct mm__vma_node *node, unsigned int level,
		       uint64_t low, uint64_t high)
{
	if (node->level != level)
		return fail_check(check, "a node is on a wrong level");
	if (!check_fill(check, node))
		return false;
	if (!level)
		return check_border(check, mm__border(node), low, high);
	for (unsigned int i = 0; i < node->count; i++) {
		const struct mm__vma_node *child = mm__child(node, i);
		const uint64_t *key = mm__interior(node)->key;

		if (!check_node(check, child, level - 1, i ? key[i - 1] : low,
				i + 1 < node->count ? key[i] : high) ||
		    !check_sum(check, child, &mm__interior(node)->sum[i]))
			return false;
	}
	return true;
}

bool mm__vma_tree_valid(const struct mm__vma_tree *tree, uint64_t count, const char **what)
{
	const struct mm__vma_node *root = mm__root(tree);
	unsigned int levels = atomic_load_explicit(&tree->levels, memory_order_relaxed);
	struct check check = { root, 0, 0, NULL };

	if (!root != !levels)
		check.what = "an empty tree has levels, or another has none";
	else if (tree->locked)
		check.what = "a border node is still locked";
	else if (root && check_node(&check, root, levels - 1, 0, UINT64_MAX) &&
		 check.count != count)
		check.what = "the number of mappings is wrong";
	else if (!root && count)
		check.what = "an empty tree has mappings";
	*what = check.what;
	return !check.what;
}
