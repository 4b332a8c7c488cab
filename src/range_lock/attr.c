/* SPDX-License-Identifier: MIT */
/* The beginning and the end of a lock. */
#include "checked.h"
#include "copy.h"
#include "forest.h"

#include <errno.h>

void range_lock_attr_init(struct range_lock_attr *attr)
{
	*attr = (struct range_lock_attr){
		.fairness = RANGE_FAIRNESS_BARGING,
		.max_leaves = RANGE__MAX_LEAVES,
		.starvation_ns = RANGE__STARVATION,
	};
}

int range_lock_init(struct range_lock *lock, const struct range_lock_attr *attr)
{
	static const struct range_lock initial = RANGE_LOCK_INITIALIZER;

	range__checked_not_walked(lock);
	if (attr &&
	    (attr->max_leaves < 1 || attr->max_leaves > RANGE_LOCK_LEAVES_MAX ||
	     !attr->alloc != !attr->free ||
	     (attr->fairness != RANGE_FAIRNESS_BARGING && attr->fairness != RANGE_FAIRNESS_FIFO)))
		return EINVAL;
	*lock = initial;
	if (attr) {
		lock->fairness = attr->fairness;
		lock->max_leaves = attr->max_leaves;
		lock->starvation_ns = attr->starvation_ns;
		lock->alloc = attr->alloc;
		lock->free = attr->free;
		lock->arg = attr->arg;
	}
	return 0;
}

int range_lock_destroy(struct range_lock *lock)
{
	int error;

	range__copy_check(lock);
	range__checked_lock(lock);
	range__checked_not_walked(lock);
	error = range__forest_destroy(lock);
	if (!error)
		lock->magic = ~RANGE__MAGIC;
	return error;
}

void range_lock_stats(struct range_lock *lock, struct range_lock_stats *stats)
{
	range__copy_check(lock);
	range__checked_lock(lock);
	range__forest_stats(lock, stats);
}
