/* SPDX-License-Identifier: MIT */
#include "find.h"
#include "platform/platform.h"
#include "short_lock.h"

/* At an index that is about to change, before a thread looks at the index under lock->mutex. */
enum { LOOKS = 20 };

uint32_t range__nr_leaves(struct range__lock *lock)
{
	struct range__forest *forest = range__forest_of(lock);

	return forest ? range__index_count(forest) : 1;
}

static struct range__leaf *nth_leaf(struct range__lock *lock, uint32_t i)
{
	struct range__forest *forest = range__forest_of(lock);

	return forest ? range__index_leaf(forest, i) : &lock->root;
}

struct range__leaf *range__find_nth(struct range__lock *lock, uint32_t i)
{
	return i < range__nr_leaves(lock) ? nth_leaf(lock, i) : NULL;
}

/* Locks the leaf that owns key, if hint or the index finds it; otherwise NULL. */
static struct range__leaf *lock_by_index(struct range__lock *lock, uint64_t key,
					 struct range__leaf *hint)
{
	for (int look = hint ? 0 : 1; look < LOOKS; look++) {
		struct range__leaf *leaf = look == 0 ? hint : range__index_find(lock, key);

		/*
		 * Do not lock a leaf that is the wrong one. Only the bounds of a locked leaf are
		 * certain.
		 */
		if (!range__leaf_has(leaf, key)) {
			mmrange__relax();
			continue;
		}
		range__leaf_lock(leaf);
		if (range__leaf_has(leaf, key))
			return leaf;
		range__leaf_unlock(leaf, NULL);
	}
	return NULL;
}

/* Under lock->mutex the index is exact: FOREST-R2. */
struct range__leaf *range__find_and_lock(struct range__lock *lock, uint64_t key,
					 struct range__leaf *hint)
{
	struct range__leaf *leaf = lock_by_index(lock, key, hint);
	struct range__forest *forest;

	if (leaf)
		return leaf;
	range__short_lock(&lock->mutex);
	forest = range__forest_of(lock);
	leaf = nth_leaf(lock, forest ? range__index_search(forest, key) : 0);
	range__leaf_lock(leaf);
	range__short_unlock(&lock->mutex);
	return leaf;
}
