/* SPDX-License-Identifier: MIT */
/*
 * The lock in the child of fork(). The other threads of the parent are not there, and may have been
 * anywhere: holding lock->mutex, with a leaf locked, half-way in a queue or a tree. So nothing is
 * repaired. All is made again but the attributes, which do not change; and what has to be read for
 * that, the list of chunks (forest.c) and the registry (checked.c), is whole at any time.
 */
#include "checked.h"
#include "copy.h"
#include "leaf_store.h"
#include "lock.h"
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
	};

	range__copy_check(lock);
	range__checked_lock(lock);
	range__checked_child(lock);
	range__slots_forget(lock);
	range__store_free(lock);
	range_lock_init(lock_, &attr);
}
