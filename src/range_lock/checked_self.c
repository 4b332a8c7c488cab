/* SPDX-License-Identifier: MIT */
/* Whether a thread would wait for a range that it acquired itself, see checked.h. */
#include "checked.h"

#ifdef MMRANGE_CHECKED

#include "find.h"

static bool would_wait_for_itself(struct range__leaf *leaf, const struct range__hold *range)
{
	struct range__node *node = range__tree_first(leaf->held, range->start, range->end);

	for (; node; node = range__tree_next(node, range->start, range->end)) {
		const struct range__hold *r = range__hold_of(node);

		if (mmrange__same_thread(r->owner, range->owner) && range__checked_owned(r) &&
		    range__conflict(r, range))
			return true;
	}
	return false;
}

bool range__checked_deadlock(const struct range__set *set)
{
	if (!range__checked_holds(range__set_hold(set, 0)->owner))
		return false;
	for (size_t i = 0; i < set->n; i++) {
		const struct range__hold *range = range__set_hold(set, i);
		struct range__leaf *leaf = range->leaf[0];
		bool found = would_wait_for_itself(leaf, range);

		for (; !found && leaf != range->leaf[1]; found = would_wait_for_itself(leaf, range))
			leaf = range__leaf_right(leaf);
		if (found)
			return true;
	}
	return false;
}

bool range__checked_covered(const struct range__set *set)
{
	struct range__walk walk = range__walk_first(set);

	if (!range__checked_holds(range__set_hold(set, 0)->owner))
		return false;
	while (walk.leaf && walk.leaf->covers == 0)
		range__walk_next(&walk);
	return walk.leaf != NULL;
}

static bool one_would_wait_for_itself(const struct range__set *set, struct range__leaf *leaf)
{
	size_t i = 0;

	while (i < set->n && !would_wait_for_itself(leaf, range__set_hold(set, i)))
		i++;
	return i < set->n;
}

bool range__checked_covering_deadlock(const struct range__set *set)
{
	uint64_t last = range__set_hold(set, set->n - 1)->end;
	bool found = false;

	for (uint64_t at = 0; at < last && !found;) {
		struct range__leaf *leaf = range__find_and_lock(set->lock, at, NULL);

		found = one_would_wait_for_itself(set, leaf);
		at = range__leaf_hi(leaf);
		range__leaf_unlock(leaf, NULL);
	}
	return found;
}

#endif
