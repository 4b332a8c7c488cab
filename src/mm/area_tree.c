/* SPDX-License-Identifier: MIT */
/*
 * All nodes but the root are at least half full. Nodes are split on the way back from an insertion,
 * and joined with a sibling, or levelled with it, on the way back from an erasure. See area_node.h
 * for what a node is.
 */
#include "area_node.h"

#include <stddef.h>
#include <string.h>

/*
 * Looking up
 */

/* The first slot that ends above addr; node->count if there is none. */
static unsigned int slot_above(const struct mm__area_node *node, uint64_t addr)
{
	unsigned int i = 0;

	while (i < node->count && node->slot[i].hi <= addr)
		i++;
	return i;
}

const struct mm__area *mm__area_tree_find(const struct mm__area_tree *tree, uint64_t addr)
{
	const struct mm__area_node *node = tree->root;

	for (unsigned int height = tree->height; height; height--) {
		unsigned int i = slot_above(node, addr);

		/* Only in the root: further down, the slot above ends above addr. */
		if (i == node->count)
			return NULL;
		if (height == 1)
			return node->slot[i].below;
		node = node->slot[i].below;
	}
	return NULL;
}

/* Whether length bytes fit in [lo, hi), and where at the highest. */
static bool fits(uint64_t lo, uint64_t hi, uint64_t length, uint64_t *addr)
{
	if (lo >= hi || hi - lo < length)
		return false;
	*addr = hi - length;
	return true;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Descends in vain only where low or high cuts a gap: twice per level at most. */
static bool gap_below(const struct mm__area_node *node, unsigned int height, uint64_t length,
		      uint64_t low, uint64_t high, uint64_t *addr)
{
	for (unsigned int i = node->count; i--;) {
		const struct slot *slot = &node->slot[i];

		if (i + 1 < node->count &&
		    fits(max(slot->hi, low), min(slot[1].lo, high), length, addr))
			return true;
		if (slot->hi <= low)
			return false;
		if (slot->gap >= length && slot->lo < high &&
		    gap_below(slot->below, height - 1, length, low, high, addr))
			return true;
	}
	return false;
}

bool mm__area_tree_highest_gap(const struct mm__area_tree *tree, uint64_t length, uint64_t low,
			       uint64_t high, uint64_t *addr)
{
	const struct mm__area_node *root = tree->root;

	if (!root)
		return fits(low, high, length, addr);
	return fits(max(root->slot[root->count - 1].hi, low), high, length, addr) ||
	       gap_below(root, tree->height, length, low, high, addr) ||
	       fits(low, min(root->slot[0].lo, high), length, addr);
}

/*
 * Changing
 */

/* Makes the slot say what is in the node below it. */
static void sum_up(struct slot *slot)
{
	const struct mm__area_node *node = slot->below;

	slot->lo = node->slot[0].lo;
	slot->hi = node->slot[node->count - 1].hi;
	slot->gap = node->slot[0].gap;
	for (unsigned int i = 1; i < node->count; i++) {
		slot->gap = max(slot->gap, node->slot[i].gap);
		slot->gap = max(slot->gap, node->slot[i].lo - node->slot[i - 1].hi);
	}
}

static struct slot area_slot(struct mm__area *area)
{
	return (struct slot){ area->start, area->end, 0, area };
}

static void open_slot(struct mm__area_node *node, unsigned int i, struct slot slot)
{
	memmove(&node->slot[i + 1], &node->slot[i], (node->count - i) * sizeof(slot));
	node->slot[i] = slot;
	node->count++;
}

static void close_slot(struct mm__area_node *node, unsigned int i)
{
	node->count--;
	memmove(&node->slot[i], &node->slot[i + 1], (node->count - i) * sizeof(node->slot[i]));
}

/* Moves n slots from the end of left to the front of right. */
static void shift_right(struct mm__area_node *left, struct mm__area_node *right, unsigned int n)
{
	memmove(&right->slot[n], &right->slot[0], right->count * sizeof(right->slot[0]));
	memcpy(&right->slot[0], &left->slot[left->count - n], n * sizeof(right->slot[0]));
	left->count -= n;
	right->count += n;
}

/* Moves n slots from the front of right to the end of left. */
static void shift_left(struct mm__area_node *left, struct mm__area_node *right, unsigned int n)
{
	memcpy(&left->slot[left->count], &right->slot[0], n * sizeof(left->slot[0]));
	memmove(&right->slot[0], &right->slot[n], (right->count - n) * sizeof(right->slot[0]));
	left->count += n;
	right->count -= n;
}

/*
 * Puts a slot in at i; if the node is full, the upper half goes to a new node, which is returned.
 */
static struct mm__area_node *add_slot(struct mm__area_tree *tree, struct mm__area_node *node,
				      unsigned int i, struct slot slot)
{
	struct mm__area_node *right;

	if (node->count < FANOUT) {
		open_slot(node, i, slot);
		return NULL;
	}
	right = mm__area_node_take(tree);
	shift_right(node, right, FANOUT - FILL);
	if (i <= FILL)
		open_slot(node, i, slot);
	else
		open_slot(right, i - FILL, slot);
	return right;
}

static struct mm__area_node *insert_below(struct mm__area_tree *tree, struct mm__area_node *node,
					  unsigned int height, struct mm__area *area)
{
	unsigned int i = slot_above(node, area->start);
	struct mm__area_node *right;
	struct slot slot;

	if (height == 1)
		return add_slot(tree, node, i, area_slot(area));
	if (i == node->count)
		i--;
	right = insert_below(tree, node->slot[i].below, height - 1, area);
	sum_up(&node->slot[i]);
	if (!right)
		return NULL;
	slot.below = right;
	sum_up(&slot);
	return add_slot(tree, node, i + 1, slot);
}

void mm__area_tree_insert(struct mm__area_tree *tree, const struct mm__area *area)
{
	struct mm__area *copy = mm__area_take(tree);
	struct mm__area_node *left = tree->root;
	struct mm__area_node *right;

	*copy = *area;
	tree->count++;
	if (!left) {
		tree->root = mm__area_node_take(tree);
		tree->height = 1;
		open_slot(tree->root, 0, area_slot(copy));
		return;
	}
	right = insert_below(tree, left, tree->height, copy);
	if (!right)
		return;
	tree->root = mm__area_node_take(tree);
	tree->root->count = 2;
	tree->root->slot[0].below = left;
	tree->root->slot[1].below = right;
	sum_up(&tree->root->slot[0]);
	sum_up(&tree->root->slot[1]);
	tree->height++;
}

/* The child at i has too few slots: joins it with a sibling, or takes some of the sibling's. */
static void refill(struct mm__area_tree *tree, struct mm__area_node *node, unsigned int i)
{
	unsigned int l = i ? i - 1 : 0;
	struct mm__area_node *left = node->slot[l].below;
	struct mm__area_node *right = node->slot[l + 1].below;
	unsigned int half = (left->count + right->count) / 2;

	if (left->count + right->count <= FANOUT) {
		shift_left(left, right, right->count);
		close_slot(node, l + 1);
		mm__area_node_give(tree, right);
	} else {
		if (left->count < half)
			shift_left(left, right, half - left->count);
		else
			shift_right(left, right, left->count - half);
		sum_up(&node->slot[l + 1]);
	}
	sum_up(&node->slot[l]);
}

static void erase_below(struct mm__area_tree *tree, struct mm__area_node *node, unsigned int height,
			uint64_t start)
{
	unsigned int i = slot_above(node, start);
	struct mm__area_node *child;

	if (height == 1) {
		mm__area_give(tree, node->slot[i].below);
		close_slot(node, i);
		return;
	}
	child = node->slot[i].below;
	erase_below(tree, child, height - 1, start);
	if (child->count < FILL)
		refill(tree, node, i);
	else
		sum_up(&node->slot[i]);
}

void mm__area_tree_erase(struct mm__area_tree *tree, uint64_t start)
{
	struct mm__area_node *root = tree->root;

	erase_below(tree, root, tree->height, start);
	tree->count--;
	if (root->count > (tree->height > 1 ? 1u : 0u))
		return;
	tree->root = tree->height > 1 ? root->slot[0].below : NULL;
	tree->height--;
	mm__area_node_give(tree, root);
}

static void change_below(struct mm__area_node *node, unsigned int height, uint64_t start,
			 const struct mm__area *to)
{
	struct slot *slot = &node->slot[slot_above(node, start)];

	if (height == 1) {
		struct mm__area *area = slot->below;

		*area = *to;
		*slot = area_slot(area);
	} else {
		change_below(slot->below, height - 1, start, to);
		sum_up(slot);
	}
}

void mm__area_tree_change(struct mm__area_tree *tree, uint64_t start, const struct mm__area *area)
{
	/* The caller's copy may be the one in the tree. */
	struct mm__area copy = *area;

	change_below(tree->root, tree->height, start, &copy);
}

/*
 * Checking
 */

struct check {
	uint64_t count;
	uint64_t end; /* of the last area seen */
	const char *what;
};

static bool check_area(struct check *check, const struct slot *slot)
{
	const struct mm__area *area = slot->below;

	if (slot->lo != area->start || slot->hi != area->end || slot->gap)
		check->what = "a leaf's slot differs from its area";
	else if (area->start >= area->end)
		check->what = "an area is empty";
	else if (area->start < check->end)
		check->what = "areas overlap or are out of order";
	check->end = area->end;
	check->count++;
	return !check->what;
}

static bool check_node(struct check *check, const struct mm__area_node *node, unsigned int height,
		       unsigned int least)
{
	if (node->count < least || node->count > FANOUT) {
		check->what = "a node of the tree has too few or too many slots";
		return false;
	}
	for (unsigned int i = 0; i < node->count; i++) {
		struct slot sum = node->slot[i];

		if (height == 1) {
			if (!check_area(check, &sum))
				return false;
			continue;
		}
		if (!check_node(check, sum.below, height - 1, FILL))
			return false;
		sum_up(&sum);
		if (sum.lo != node->slot[i].lo || sum.hi != node->slot[i].hi) {
			check->what = "the bounds of a subtree are wrong";
			return false;
		}
		if (sum.gap != node->slot[i].gap) {
			check->what = "the greatest gap of a subtree is wrong";
			return false;
		}
	}
	return true;
}

bool mm__area_tree_valid(const struct mm__area_tree *tree, const char **what)
{
	struct check check = { 0, 0, NULL };

	if (!tree->root != !tree->height || !tree->root != !tree->count)
		check.what = "an empty tree has areas, or another has none";
	else if (tree->root)
		check_node(&check, tree->root, tree->height, tree->height > 1 ? 2 : 1);
	if (!check.what && check.count != tree->count)
		check.what = "the number of areas is wrong";
	*what = check.what;
	return !check.what;
}
