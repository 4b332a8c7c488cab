/* SPDX-License-Identifier: MIT */
/*
 * All functions of a range lock, as a table: those of the library, or those of a lock of a test's
 * own, which it passes as a struct range_lock *.
 */
#ifndef TESTS_LOCK_FUNCTIONS_H
#define TESTS_LOCK_FUNCTIONS_H

#include <mmrange/range_lock.h>

struct lock_functions {
	int (*destroy)(struct range_lock *lock);
	int (*lock)(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
		    enum range_mode mode);
	int (*trylock)(struct range_lock *lock, struct range_hold *range, uint64_t start,
		       uint64_t end, enum range_mode mode);
	int (*timedlock)(struct range_lock *lock, struct range_hold *range, uint64_t start,
			 uint64_t end, enum range_mode mode, clockid_t clock,
			 const struct timespec *deadline);
	int (*lock_many)(struct range_lock *lock, struct range_request *requests, size_t n);
	int (*trylock_many)(struct range_lock *lock, struct range_request *requests, size_t n);
	int (*timedlock_many)(struct range_lock *lock, struct range_request *requests, size_t n,
			      clockid_t clock, const struct timespec *deadline);
	int (*lock_async)(struct range_lock *lock, struct range_hold *range, uint64_t start,
			  uint64_t end, enum range_mode mode, range_callback *callback, void *arg);
	int (*lock_many_async)(struct range_lock *lock, struct range_request *requests, size_t n,
			       range_callback *callback, void *arg);
	int (*cancel)(struct range_lock *lock, struct range_hold *range);
	void (*unlock)(struct range_lock *lock, struct range_hold *range);
	void (*downgrade)(struct range_lock *lock, struct range_hold *range);
	int (*tryupgrade)(struct range_lock *lock, struct range_hold *range);
	int (*shrink)(struct range_lock *lock, struct range_hold *range, uint64_t start,
		      uint64_t end);
	int (*tryextend)(struct range_lock *lock, struct range_hold *range, uint64_t start,
			 uint64_t end);
	int (*split)(struct range_lock *lock, struct range_hold *range, uint64_t point,
		     struct range_hold *upper);
	int (*join)(struct range_lock *lock, struct range_hold *lower, struct range_hold *upper);
	int (*upgrade)(struct range_lock *lock, struct range_hold *range);
	int (*timedupgrade)(struct range_lock *lock, struct range_hold *range, clockid_t clock,
			    const struct timespec *deadline);
	int (*is_held)(struct range_lock *lock, uint64_t start, uint64_t end, enum range_mode mode);
	int (*conflict)(struct range_lock *lock, uint64_t start, uint64_t end, enum range_mode mode,
			struct range_info *info);
	void (*close)(struct range_lock *lock);
	void (*stats)(struct range_lock *lock, struct range_lock_stats *stats);
	int (*get_times)(struct range_lock *lock, struct range_lock_times *times);
	int (*foreach)(struct range_lock *lock, int (*fn)(const struct range_info *info, void *arg),
		       void *arg);
	int (*dump)(struct range_lock *lock, FILE *stream);
	void (*child)(struct range_lock *lock);
};

static const struct lock_functions library_functions = {
	.destroy = range_lock_destroy,
	.lock = range_lock,
	.trylock = range_trylock,
	.timedlock = range_timedlock,
	.lock_many = range_lock_many,
	.trylock_many = range_trylock_many,
	.timedlock_many = range_timedlock_many,
	.lock_async = range_lock_async,
	.lock_many_async = range_lock_many_async,
	.cancel = range_cancel,
	.unlock = range_unlock,
	.downgrade = range_downgrade,
	.tryupgrade = range_tryupgrade,
	.shrink = range_shrink,
	.tryextend = range_tryextend,
	.split = range_split,
	.join = range_join,
	.upgrade = range_upgrade,
	.timedupgrade = range_timedupgrade,
	.is_held = range_is_held,
	.conflict = range_lock_conflict,
	.close = range_lock_close,
	.stats = range_lock_stats,
	.get_times = range_lock_get_times,
	.foreach = range_lock_foreach,
	.dump = range_lock_dump,
	.child = range_lock_child,
};

#endif
