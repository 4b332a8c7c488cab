/* SPDX-License-Identifier: MIT */
#include "wake.h"
#include "deadlock_wait.h"
#include "lock.h"
#include "waiters.h"

/* In FIFO order all waiters are starving from the start. */
static void promote(struct range__lock *lock, struct range__leaf *leaf, struct range__wakes *wakes)
{
	if (lock->fairness == RANGE_FAIRNESS_BARGING)
		range__deadlock_promoted(
			range__leaf_promote(lock, leaf, range__starvation(lock), wakes));
}

void range__wake(struct range__lock *lock, struct range__leaf *leaf, uint64_t start, uint64_t end,
		 struct range__wakes *wakes)
{
	if (!leaf->waiters)
		return;
	promote(lock, leaf, wakes);
	range__leaf_wake(lock, leaf, start, end, wakes);
}

void range__wake_after(struct range__lock *lock, struct range__leaf *leaf,
		       const struct range__hold *range, struct range__wakes *wakes)
{
	if (!leaf->waiters)
		return;
	promote(lock, leaf, wakes);
	if (range->mode == RANGE_READ)
		range__leaf_wake_writers(lock, leaf, range->start, range->end, wakes);
	else
		range__leaf_wake(lock, leaf, range->start, range->end, wakes);
}

void range__wake_range(struct range__set *set, size_t i, uint64_t start, uint64_t end,
		       struct range__wakes *wakes)
{
	struct range__hold *range = range__set_hold(set, i);
	struct range__leaf *leaf = range->leaf[0];

	range__wake(set->lock, leaf, start, end, wakes);
	while (leaf != range->leaf[1]) {
		leaf = range__leaf_right(leaf);
		range__wake(set->lock, leaf, start, end, wakes);
	}
}
