/* SPDX-License-Identifier: MIT */
#include "bounds.h"
#include "claim.h"
#include "waiters.h"

bool range__leaf_crossed(struct range__leaf *leaf, uint64_t point)
{
	/* A range that overlaps the empty [point, point) starts before point and ends after it. */
	return leaf->covers > 0 || leaf->nr_claims > 0 ||
	       range__tree_overlap(leaf->held, point, point, false) ||
	       range__waiters_earliest(leaf->waiters, KINDS_ALL, point, point, NULL);
}

static void set_bounds(struct range__leaf *leaf, uint64_t lo, uint64_t hi)
{
	/* relaxed: [LEAF-B] */
	atomic_store_explicit(&leaf->lo, lo, memory_order_relaxed);
	atomic_store_explicit(&leaf->not_hi, ~hi, memory_order_relaxed);
	range__leaf_next_generation(leaf);
}

void range__leaf_split(struct range__leaf *leaf, uint64_t point, struct range__leaf *right)
{
	struct range__hold *w = range__waiters_first(leaf->waiters), *next;

	range__tree_split(&leaf->held, point, &right->held);
	for (; w; w = next) {
		next = range__waiters_next(leaf->waiters, w);
		if (w->start < point)
			continue;
		range__leaf_move(leaf, right, w);
	}
	range__wide_split(leaf, point, right);
	right->fair_at = leaf->fair_at;
	range__leaf_set_right(right, range__leaf_right(leaf));
	range__leaf_set_right(leaf, right);
	set_bounds(right, point, range__leaf_hi(leaf));
	set_bounds(leaf, range__leaf_lo(leaf), point);
}

void range__leaf_absorb(struct range__leaf *leaf, struct range__leaf *right)
{
	uint64_t hi = range__leaf_hi(right);

	range__leaf_set_right(leaf, range__leaf_right(right));
	set_bounds(leaf, range__leaf_lo(leaf), hi);
	set_bounds(right, hi, hi);
}
