/* SPDX-License-Identifier: MIT */
#include "span.h"
#include "find.h"

/* Attempts to lock the leaf that the index names, while another leaf is locked. */
enum { TRIES = 16 };

/* Locks the leaf that owns key, above a locked leaf; NULL: not found without waiting for it. */
static struct range__leaf *try_index(struct range__lock *lock, uint64_t key)
{
	for (int i = 0; i < TRIES; i++) {
		struct range__leaf *leaf = range__index_find(lock, key);

		if (!range__leaf_has(leaf, key))
			return NULL;
		if (range__leaf_trylock(leaf)) {
			if (range__leaf_has(leaf, key))
				return leaf;
			range__leaf_unlock(leaf, NULL);
		}
		mmrange__relax();
	}
	return NULL;
}

/*
 * Goes from a locked leaf to the one that owns key, hand over hand. The leaf `from` stays locked.
 */
static struct range__leaf *go_right(struct range__leaf *from, uint64_t key)
{
	struct range__leaf *leaf = from;

	while (range__leaf_hi(leaf) <= key) {
		struct range__leaf *next = range__leaf_right(leaf);

		range__leaf_lock(next);
		if (leaf != from)
			range__leaf_unlock(leaf, NULL);
		leaf = next;
	}
	return leaf;
}

/*
 * With last locked, which lies below the range or owns its start: locks the leaf that owns the
 * start.
 */
static struct range__leaf *lock_next(struct range__lock *lock, struct range__leaf *last,
				     const struct range__hold *range)
{
	struct range__leaf *leaf;

	if (range->start < range__leaf_hi(last))
		return last;
	leaf = try_index(lock, range->start);
	return leaf ? leaf : go_right(last, range->start);
}

static struct range__leaf *lock_rest(struct range__hold *range, struct range__leaf *first)
{
	struct range__leaf *leaf = first;

	while (range__leaf_hi(leaf) < range->end) {
		leaf = range__leaf_right(leaf);
		range__leaf_lock(leaf);
	}
	range->leaf[0] = first;
	range->leaf[1] = leaf;
	range__set_wide(range, leaf != first);
	return leaf;
}

void range__span_lock_from(struct range__set *set, struct range__leaf *first, enum range__bias bias)
{
	struct range__leaf *leaf = first;

	for (size_t i = 0; i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);

		leaf = lock_rest(range, lock_next(set->lock, leaf, range));
	}
	range__bias_revoke(set, bias);
}

void range__span_lock(struct range__set *set, enum range__bias bias)
{
	uint64_t start = range__set_hold(set, 0)->start;

	range__span_lock_from(set, range__find_and_lock(set->lock, start, set->hint), bias);
}

void range__span_unlock(struct range__set *set, const struct range__wakes *wakes)
{
	struct range__walk walk = range__walk_first(set);

	while (walk.leaf) {
		struct range__leaf *leaf = walk.leaf;

		range__walk_next(&walk);
		range__leaf_unlock(leaf, NULL);
	}
	if (wakes)
		range__wake_all(wakes);
}
