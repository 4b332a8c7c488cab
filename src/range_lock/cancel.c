/* SPDX-License-Identifier: MIT */
/*
 * Ends the wait of another thread. *range may be gone at any time as long as it has not been found
 * in a queue: so it is looked for by its address, in every leaf, and not by its fields. A waiter
 * moves from one leaf to another only under lock->mutex, so none is missed. A leaf that is biased
 * has no queue, and stays so.
 */
#include "checked.h"
#include "forest.h"
#include "platform/platform.h"
#include "wait.h"

#include <errno.h>

/* With the leaf locked. */
static bool waits_in(const struct range__leaf *leaf, const struct range *range)
{
	const struct range *w = leaf->wait_first;

	while (w && w != range)
		w = w->next;
	return w != NULL;
}

void range__expel(struct range_lock *lock, struct range__leaf *leaf, struct range *range,
		  uint64_t why, struct range__wakes *wakes)
{
	uint64_t start = range->start, end = range->end;

	range__leaf_dequeue(leaf, range);
	range__wake(lock, leaf, start, end, wakes);
	/* release: [C] */
	atomic_store_explicit(&range->state, why, memory_order_release);
}

int range_cancel(struct range_lock *lock, struct range *range)
{
	struct range__wakes wakes = { .n = 0 };
	struct range__leaf *leaf;
	int error = ESRCH;

	range__checked_lock(lock);
	pthread_mutex_lock(&lock->mutex);
	for (uint32_t i = 0; error && (leaf = range__forest_leaf(lock, i)); i++) {
		range__leaf_lock_reader(leaf);
		if (waits_in(leaf, range)) {
			range__expel(lock, leaf, range, RANGE_CANCELED, &wakes);
			range__leaf_unlock(leaf, &wakes);
			/* R5: the address alone. */
			mmrange__unpark(&range->state, false);
			error = 0;
		} else {
			range__leaf_unlock(leaf, NULL);
		}
	}
	pthread_mutex_unlock(&lock->mutex);
	return error;
}
