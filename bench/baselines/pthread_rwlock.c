/* SPDX-License-Identifier: MIT */
/*
 * pthread_rwlock - the C library's reader/writer lock, with its default attributes. It has no
 * ranges.
 */
#include "lock_ops.h"

#include <pthread.h>

static int init(void *lock)
{
	return pthread_rwlock_init(lock, NULL);
}

static int destroy(void *lock)
{
	return pthread_rwlock_destroy(lock);
}

static int lock_all(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		    enum range_mode mode)
{
	(void)node;
	(void)start;
	(void)end;
	if (mode == RANGE_WRITE)
		return pthread_rwlock_wrlock(lock);
	return pthread_rwlock_rdlock(lock);
}

static void unlock_all(void *lock, struct lock_node *node)
{
	(void)node;
	pthread_rwlock_unlock(lock);
}

const struct lock_ops pthread_rwlock_ops = {
	.name = "pthread_rwlock",
	.size = sizeof(pthread_rwlock_t),
	.init = init,
	.destroy = destroy,
	.lock = lock_all,
	.unlock = unlock_all,
};
