/* SPDX-License-Identifier: MIT */
#include "vma_bounds.h"

#include "page.h"
#include "vma_border.h"

/*
 * The stretch [hi, lo) that is free when [start, end) has been taken out, in the terms of a sum. If
 * the border node has no mapping on one side, the stretch goes on in the next border node.
 */
static struct sum stretch_without(const struct border *border, uint64_t start, uint64_t end)
{
	unsigned int i = mm__border_find(border, start);
	unsigned int above = mm__border_find(border, end);
	struct sum stretch = { UINT64_MAX, 0, UINT64_MAX };
	struct mm__mapping m;

	if (i < border->node.count && mm__border_start(border, i) < start) {
		stretch.hi = start;
	} else if (i) {
		mm__border_get(border, i - 1, &m);
		stretch.hi = m.end;
	}
	if (above < border->node.count) {
		stretch.lo = mm__border_start(border, above);
		stretch.lo = stretch.lo < end ? end : stretch.lo;
	}
	if (stretch.hi && stretch.lo != UINT64_MAX)
		stretch.gap = stretch.lo - stretch.hi;
	return stretch;
}

/* [TREE-F]: whether the stretch is within the border node's bounds. */
bool mm__border_may_unmap(const struct border *border, uint64_t start, uint64_t end)
{
	struct sum stretch = stretch_without(border, start, end);

	return stretch.lo <= border->recorded.lo ||
	       (stretch.hi && stretch.hi >= border->recorded.hi) ||
	       (stretch.gap != UINT64_MAX && stretch.gap <= border->recorded.gap);
}

struct sum mm__border_tighten(const struct mm__vma_tree *tree, struct border *border)
{
	bool locked = mm__border_is_locked(tree, border);
	struct sum sum;

	mm__rcu_read_lock();
	if (!locked)
		mm__border_acquire(border, 0);
	sum = mm__node_sum(&border->node);
	if (mm__root(tree) != &border->node)
		border->recorded = sum;
	if (!locked)
		mm__border_release(border);
	mm__rcu_read_unlock();
	return sum;
}

static uint64_t twice(uint64_t length)
{
	return length > UINT64_MAX / 2 ? UINT64_MAX : 2 * length;
}

/*
 * Makes the bounds as wide as they have to be, so that a search for a longer stretch still passes
 * the border node. Makes them at least twice as wide as before, for threads that unmap a little
 * more each time.
 */
static void widen_sum(struct sum *bounds, const struct sum *stretch, uint64_t low, uint64_t high)
{
	if (stretch->gap != UINT64_MAX) {
		bounds->gap = mm__max(stretch->gap, twice(bounds->gap));
	} else if (stretch->lo != UINT64_MAX) {
		uint64_t width = twice(bounds->lo > low ? bounds->lo - low : 0);
		uint64_t lo = width < UINT64_MAX - low ? low + width : UINT64_MAX;

		bounds->lo = mm__max(stretch->lo, mm__min(lo, bounds->hi));
	} else if (stretch->hi) {
		uint64_t width = twice(bounds->hi < high ? high - bounds->hi : 0);

		bounds->hi =
			mm__min(stretch->hi, mm__max(width < high ? high - width : 0, bounds->lo));
	} else {
		*bounds = mm__no_bounds;
	}
}

void mm__border_widen(struct border *border, uint64_t start, uint64_t end)
{
	struct sum stretch;

	mm__rcu_read_lock();
	mm__border_acquire(border, 0);
	/* While the thread waited for the VMA tree lock, the bounds may have become wide enough. */
	if (!mm__border_may_unmap(border, start, end)) {
		stretch = stretch_without(border, start, end);
		widen_sum(&border->recorded, &stretch, border->low, border->high);
	}
	mm__border_release(border);
	mm__rcu_read_unlock();
}
