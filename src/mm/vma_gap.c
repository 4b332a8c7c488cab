/* SPDX-License-Identifier: MIT */
/*
 * Searching a vma_tree for room, for a writer with the lock. Only such a writer reads sums.
 *
 * Sums are bounds, see [TREE-F] in vma_path.h: each free stretch below a slot is no longer than
 * gap, or lies below lo, or lies above hi. So the search tries a place that contains the best
 * stretch that is long enough, before it tries any worse one. The place may be too good, because
 * bounds may be too wide. A mapping is then in the way, and the search tightens the bounds that hid
 * it. Only edits in place make bounds wider than necessary, and each edit widens few of them.
 */
#include "page.h"
#include "vma_border.h"
#include "vma_bounds.h"
#include "vma_path.h"
#include "vma_read.h"

struct search {
	struct mm__vma_tree *tree;
	uint64_t length;
	uint64_t low;
	uint64_t high;
	bool down;      /* searches for the highest place, else for the lowest */
	uint64_t edge;  /* the end, towards the rest of the search, of the last mapping seen */
	bool tightened; /* any bounds, in the present pass through the tree */
	uint64_t addr;
};

/*
 * Whether the length fits between the last mapping seen and the mappings of these bounds, and
 * within the bounds of the search. These mappings then become the last ones seen.
 */
static bool fits_beside(struct search *s, uint64_t lo, uint64_t hi)
{
	uint64_t from = mm__max(s->down ? hi : s->edge, s->low);
	uint64_t to = mm__min(s->down ? s->edge : lo, s->high);

	s->edge = s->down ? lo : hi;
	s->addr = s->down ? to - s->length : from;
	return from < to && to - from >= s->length;
}

/*
 * Tighter bounds may have a wider gap: a free stretch that lay beyond lo or hi now counts for it.
 * So when the bounds of a node change, those of all nodes above it are recorded anew.
 */
static void tighten_slot(struct search *s, struct mm__vma_node *node, unsigned int i)
{
	struct mm__vma_node *child = mm__child(node, i);

	s->tightened = true;
	mm__interior(node)->sum[i] =
		child->level ? mm__node_sum(child) : mm__border_tighten(s->tree, mm__border(child));
}

/* Tightens all bounds on the way to addr. */
static void tighten_path(struct search *s, uint64_t addr)
{
	struct path path;

	mm__path_descend(s->tree, addr, &path);
	for (unsigned int level = 1; level < path.levels; level++)
		tighten_slot(s, path.node[level], path.index[level]);
}

/* The n-th slot in the order of the search. */
static unsigned int nth_slot(const struct search *s, unsigned int n, unsigned int count)
{
	return s->down ? count - 1 - n : n;
}

static bool search_border(struct search *s, const struct border *border)
{
	struct mm__vma_list list;

	mm__border_list(border, 0, &list);
	for (unsigned int n = 0; n < list.count; n++) {
		const struct mm__mapping *m = &list.m[nth_slot(s, n, list.count)];

		if (fits_beside(s, m->start, m->end))
			return true;
	}
	return false;
}

/* Whether the child may have room within the bounds of the search. */
static bool may_have_room(const struct search *s, const struct interior *interior, unsigned int i)
{
	return interior->sum[i].gap >= s->length && (!i || interior->key[i - 1] < s->high) &&
	       (i + 1 == interior->node.count || interior->key[i] > s->low);
}

/*
 * The search passes children that cannot have room by their bounds. It passes children that may be
 * empty as if they were empty.
 */
static bool search_node(struct search *s, struct mm__vma_node *node)
{
	if (!node->level)
		return search_border(s, mm__border(node));
	for (unsigned int n = 0; n < node->count; n++) {
		unsigned int i = nth_slot(s, n, node->count);
		struct sum slot = mm__interior(node)->sum[i];

		if (may_have_room(s, mm__interior(node), i)) {
			bool found = search_node(s, mm__child(node, i));

			if (!found || s->tightened)
				tighten_slot(s, node, i);
			if (found)
				return true;
		} else if (!mm__maybe_empty(&slot) && fits_beside(s, slot.lo, slot.hi)) {
			return true;
		}
	}
	return false;
}

static bool search_tree(struct search *s)
{
	struct mm__vma_node *root = mm__root(s->tree);

	s->edge = s->down ? UINT64_MAX : 0;
	s->tightened = false;
	return (root && search_node(s, root)) ||
	       (s->down ? fits_beside(s, 0, 0) : fits_beside(s, UINT64_MAX, UINT64_MAX));
}

static bool search_gap(struct search *s, uint64_t *addr)
{
	struct mm__mapping m;

	while (search_tree(s)) {
		*addr = s->addr;
		if (!mm__vma_tree_find(s->tree, s->addr, &m) || m.start >= s->addr + s->length)
			return true;
		tighten_path(s, m.start);
	}
	return false;
}

bool mm__vma_tree_highest_gap(struct mm__vma_tree *tree, uint64_t length, uint64_t low,
			      uint64_t high, uint64_t *addr)
{
	struct search s = { tree, length, low, high, true, 0, false, 0 };

	return search_gap(&s, addr);
}

bool mm__vma_tree_lowest_gap(struct mm__vma_tree *tree, uint64_t length, uint64_t low,
			     uint64_t high, uint64_t *addr)
{
	struct search s = { tree, length, low, high, false, 0, false, 0 };

	return search_gap(&s, addr);
}

void mm__vma_tree_widen(struct mm__vma_tree *tree, uint64_t start, uint64_t end)
{
	struct path path;

	if (!mm__root(tree))
		return;
	mm__path_descend(tree, start, &path);
	mm__border_widen(mm__border(path.node[0]), start, end);
	for (unsigned int level = 1; level < path.levels; level++)
		mm__interior(path.node[level])->sum[path.index[level]] =
			level == 1 ? mm__border(path.node[0])->recorded
				   : mm__node_sum(path.node[level - 1]);
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
	struct border *border = mm__border_descend(tree, *addr);
	bool found;

	if (!border)
		return false;
	mm__border_acquire(border, 0);
	found = !border->dead && border->high &&
		gap_in_border(border, length, low, high, margin, addr);
	mm__border_release(border);
	return found;
}
