/* SPDX-License-Identifier: MIT */
/* Shows what is in a lock. */
#include "checked.h"
#include "forest.h"

struct walk {
	int (*fn)(const struct range_info *info, void *arg);
	void *arg;
};

static int show(const struct walk *walk, struct range *range, enum range_state state)
{
	const struct range_info info = {
		.range = range,
		.start = range->start,
		.end = range->end,
		.mode = (enum range_mode)range->mode,
		.state = state,
		.thread = (uint32_t)(range->owner >> 32),
	};

	return walk->fn(&info, walk->arg);
}

/* With the leaf locked. */
static int show_all(struct range__leaf *leaf, const struct walk *walk)
{
	struct range *r;
	int result = 0;

	for (r = range__tree_first(leaf->held, 0, UINT64_MAX); r && !result;
	     r = range__tree_next(r, 0, UINT64_MAX))
		result = show(walk, r, RANGE_STATE_HELD);
	for (r = leaf->wait_first; r && !result; r = r->next)
		result = show(walk, r, r->starving ? RANGE_STATE_STARVING : RANGE_STATE_WAITING);
	return result;
}

int range_lock_foreach(struct range_lock *lock, int (*fn)(const struct range_info *info, void *arg),
		       void *arg)
{
	const struct walk walk = { fn, arg };
	struct range__leaf *leaf;
	int result = 0;

	range__checked_lock(lock);
	pthread_mutex_lock(&lock->mutex);
	for (uint32_t i = 0; !result && (leaf = range__forest_leaf(lock, i)); i++) {
		range__leaf_lock(leaf);
		result = show_all(leaf, &walk);
		range__leaf_unlock(leaf, NULL);
	}
	pthread_mutex_unlock(&lock->mutex);
	return result;
}
