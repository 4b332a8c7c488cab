/* SPDX-License-Identifier: MIT */
/*
 * The lock in the child of fork(). The parent's other threads do not exist in the child, and may
 * have been anywhere: holding lock->mutex, with a leaf locked, half-way in a queue or a tree. So
 * the child repairs nothing. It makes everything again except the attributes, which do not change.
 * It reads only the list of chunks (leaf_store.c) and the registry (checked.c), which are whole at
 * any time.
 */
#include "checked.h"
#include "copy.h"
#include "leaf_store.h"
#include "lock.h"
#include "race.h"
#include "slots.h"

void range_lock_child(struct range_lock *lock_)
{
	struct range__lock *lock = range__lock(lock_);
	const struct range_lock_attr attr = {
		.fairness = (enum range_fairness)lock->fairness,
		.max_leaves = range__max_leaves(lock),
		.starvation_ns = range__starvation(lock),
		.alloc = lock->alloc,
		.free = lock->free,
		.arg = lock->arg,
		.counters = lock->counters,
		.bias = lock->never_biased ? RANGE_BIAS_NEVER : RANGE_BIAS_ADAPTIVE,
	};

	range__race_enter();
	range__copy_check(lock);
	range__checked_lock(lock);
	range__checked_child(lock);
	range__slots_forget(lock);
	range__store_free(lock);
	range_lock_init(lock_, &attr);
	range__race_leave();
}
