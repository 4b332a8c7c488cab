/* SPDX-License-Identifier: MIT */
/*
 * pthread_mutex - the C library's mutex, with its default attributes. It has neither ranges nor
 * readers.
 */
#include "lock_ops.h"

#include <pthread.h>

static int init(void *lock)
{
	return pthread_mutex_init(lock, NULL);
}

static int destroy(void *lock)
{
	return pthread_mutex_destroy(lock);
}

static int lock_all(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		    enum range_mode mode)
{
	(void)node;
	(void)start;
	(void)end;
	(void)mode;
	return pthread_mutex_lock(lock);
}

static void unlock_all(void *lock, struct lock_node *node)
{
	(void)node;
	pthread_mutex_unlock(lock);
}

const struct lock_ops pthread_mutex_ops = {
	.name = "pthread_mutex",
	.size = sizeof(pthread_mutex_t),
	.init = init,
	.destroy = destroy,
	.lock = lock_all,
	.unlock = unlock_all,
};
