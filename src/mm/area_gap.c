/* SPDX-License-Identifier: MIT */
/*
 * Where there is room in an area_tree: for the writer, who alone reads sums.
 */
#include "area_node.h"

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
static bool gap_below(const struct mm__area_node *node, uint64_t length, uint64_t low,
		      uint64_t high, uint64_t *addr)
{
	uint64_t next = 0; /* where the slot after this one begins */

	for (unsigned int i = node->count; i--;) {
		struct sum slot = mm__slot_sum(node, i);

		if (i + 1 < node->count && fits(max(slot.hi, low), min(next, high), length, addr))
			return true;
		if (slot.hi <= low)
			return false;
		if (slot.gap >= length && slot.lo < high &&
		    gap_below(mm__child(node, i), length, low, high, addr))
			return true;
		next = slot.lo;
	}
	return false;
}

bool mm__area_tree_highest_gap(const struct mm__area_tree *tree, uint64_t length, uint64_t low,
			       uint64_t high, uint64_t *addr)
{
	const struct mm__area_node *root = mm__root(tree);

	if (!root)
		return fits(low, high, length, addr);
	return fits(max(mm__slot_sum(root, root->count - 1).hi, low), high, length, addr) ||
	       gap_below(root, length, low, high, addr) ||
	       fits(low, min(mm__slot_sum(root, 0).lo, high), length, addr);
}

static bool fits_low(uint64_t lo, uint64_t hi, uint64_t length, uint64_t *addr)
{
	*addr = lo;
	return lo < hi && hi - lo >= length;
}

/* As gap_below(), from the other end. */
static bool gap_above(const struct mm__area_node *node, uint64_t length, uint64_t low,
		      uint64_t high, uint64_t *addr)
{
	uint64_t end = 0; /* of the slot before this one */

	for (unsigned int i = 0; i < node->count; i++) {
		struct sum slot = mm__slot_sum(node, i);

		if (i && fits_low(max(end, low), min(slot.lo, high), length, addr))
			return true;
		if (slot.lo >= high)
			return false;
		if (slot.gap >= length && slot.hi > low &&
		    gap_above(mm__child(node, i), length, low, high, addr))
			return true;
		end = slot.hi;
	}
	return false;
}

bool mm__area_tree_lowest_gap(const struct mm__area_tree *tree, uint64_t length, uint64_t low,
			      uint64_t high, uint64_t *addr)
{
	const struct mm__area_node *root = mm__root(tree);

	if (!root)
		return fits_low(low, high, length, addr);
	return fits_low(low, min(mm__slot_sum(root, 0).lo, high), length, addr) ||
	       gap_above(root, length, low, high, addr) ||
	       fits_low(max(mm__slot_sum(root, root->count - 1).hi, low), high, length, addr);
}
