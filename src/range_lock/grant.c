/* SPDX-License-Identifier: MIT */
#include "grant.h"
#include "span.h"

/* A leaf that has nothing else in it gets the range in its word. */
static void hold_one_and_unlock(struct range__set *set)
{
	struct range__hold *range = set->one;
	struct range__leaf *leaf = range->leaf[0], *last = range->leaf[1], *next;

	for (; leaf; leaf = next) {
		next = leaf == last ? NULL : range__leaf_right(leaf);
		range__leaf_hold_and_unlock(leaf, range);
	}
}

static void record_all(struct range__set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);
		struct range__leaf *leaf = range->leaf[0];

		range__leaf_record(leaf, range);
		while (leaf != range->leaf[1]) {
			leaf = range__leaf_right(leaf);
			range__leaf_record(leaf, range);
		}
	}
}

void range__grant_and_unlock(struct range__set *set)
{
	if (set->one) {
		for (unsigned int i = 0; i <= range__is_wide(set->one); i++)
			range__bias_note_locked(set->lock, set->one->leaf[i], set->one);
		hold_one_and_unlock(set);
		return;
	}
	record_all(set);
	range__span_unlock(set, NULL);
}
