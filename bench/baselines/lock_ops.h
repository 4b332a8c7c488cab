/* SPDX-License-Identifier: MIT */
/*
 * lock_ops - the one small interface through which the benchmark measures every lock.
 *
 * It calls every lock through these pointers, so all pay the same for it. The order of the
 * parameters is range_lock()'s, so that a wrapper is a jump.
 */
#ifndef BENCH_LOCK_OPS_H
#define BENCH_LOCK_OPS_H

#include <mmrange/range_lock.h>

#include <stddef.h>
#include <stdint.h>

/* One acquisition, see lock_node.h. */
struct lock_node;

struct lock_ops {
	const char *name;
	size_t size;         /* of the lock; it is aligned to a cache line */
	uint32_t max_ranges; /* that may reasonably be held at once; 0: the lock has no ranges */
	/* These return 0 or an errno value. */
	int (*init)(void *lock);
	int (*destroy)(void *lock);
	/*
	 * Makes the lock's data for a thread, if any, before the thread locks; leave() gives it
	 * back.
	 */
	int (*join)(void *lock, void **thread);
	void (*leave)(void *lock, void *thread);
	int (*lock)(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		    enum range_mode mode);
	/* As range_lock_async(). A lock may lack it, or lock(). */
	int (*lock_async)(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
			  enum range_mode mode, range_callback *callback, void *arg);
	void (*unlock)(void *lock, struct lock_node *node);
	/* How often a lock has adapted to the load; NULL: it does not adapt. */
	uint64_t (*changes)(void *lock);
	/* How many acquisitions had to wait; NULL: the lock does not say. */
	uint64_t (*waits)(void *lock);
};

extern const struct lock_ops mmrange_ops;
extern const struct lock_ops mmrange_fifo_ops;
extern const struct lock_ops tree_spinlock_ops;
extern const struct lock_ops pthread_rwlock_ops;
extern const struct lock_ops pthread_mutex_ops;
/* With callbacks only. */
extern const struct lock_ops callback_list_ops;
extern const struct lock_ops callback_ranges_ops;
/* With Concurrency Kit. */
extern const struct lock_ops ck_rwlock_ops;
extern const struct lock_ops ck_brlock_ops;
/* On Linux. */
extern const struct lock_ops fcntl_ofd_ops;

#endif
