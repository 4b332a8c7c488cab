/* SPDX-License-Identifier: MIT */
/* The beginning and the end of a lock's life. */
#include "checked.h"
#include "copy.h"
#include "forest.h"
#include "lock.h"
#include "race.h"

#include <errno.h>

void range_lock_attr_init(struct range_lock_attr *attr)
{
	*attr = (struct range_lock_attr){
		.fairness = RANGE_FAIRNESS_BARGING,
		.max_leaves = RANGE__DEFAULT_LEAVES,
		.starvation_ns = RANGE__DEFAULT_STARVATION,
	};
}

int range_lock_init(struct range_lock *lock_, const struct range_lock_attr *attr)
{
	struct range__lock *lock = range__lock(lock_);

	range__checked_not_walked(lock);
	if (attr &&
	    (attr->max_leaves < 1 || attr->max_leaves > RANGE_LOCK_LEAVES_MAX ||
	     !attr->alloc != !attr->free ||
	     (attr->fairness != RANGE_FAIRNESS_BARGING && attr->fairness != RANGE_FAIRNESS_FIFO) ||
	     (attr->bias != RANGE_BIAS_ADAPTIVE && attr->bias != RANGE_BIAS_NEVER)))
		return EINVAL;
	*lock_ = (struct range_lock)RANGE_LOCK_INITIALIZER;
	lock->magic = RANGE__ALIVE;
	if (attr) {
		lock->fairness = attr->fairness;
		lock->max_leaves = attr->max_leaves;
		lock->starvation_more_ns = attr->starvation_ns - RANGE__DEFAULT_STARVATION;
		lock->alloc = attr->alloc;
		lock->free = attr->free;
		lock->arg = attr->arg;
		lock->counters = attr->counters;
		lock->never_biased = attr->bias == RANGE_BIAS_NEVER;
	}
	return 0;
}

static void give_back(struct range__lock *lock)
{
	if (lock->counters)
		range__race_give_back(lock->counters, sizeof *lock->counters);
	range__race_give_back(lock, sizeof(struct range_lock));
}

int range_lock_destroy(struct range_lock *lock_)
{
	struct range__lock *lock = range__lock(lock_);
	int error;

	range__race_enter();
	range__copy_check(lock);
	range__checked_lock(lock);
	range__checked_not_walked(lock);
	error = range__forest_destroy(lock);
	if (!error) {
		lock->magic = RANGE__DESTROYED;
		give_back(lock);
	}
	range__race_leave();
	return error;
}

void range_lock_stats(struct range_lock *lock_, struct range_lock_stats *stats)
{
	struct range__lock *lock = range__lock(lock_);

	range__race_enter();
	range__copy_check(lock);
	range__checked_lock(lock);
	range__forest_stats(lock, stats);
	range__race_leave();
}
