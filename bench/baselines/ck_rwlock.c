/* SPDX-License-Identifier: MIT */
/*
 * ck_rwlock - Concurrency Kit's reader/writer spinlock. It has no ranges, prefers writers, and
 * never sleeps.
 */
#include "lock_node.h"
#include "lock_ops.h"

#include <ck_rwlock.h>

static int init(void *lock)
{
	ck_rwlock_init(lock);
	return 0;
}

static int destroy(void *lock)
{
	(void)lock;
	return 0;
}

static int lock_all(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		    enum range_mode mode)
{
	(void)start;
	(void)end;
	node->range.mode = (uint8_t)mode;
	if (mode == RANGE_WRITE)
		ck_rwlock_write_lock(lock);
	else
		ck_rwlock_read_lock(lock);
	return 0;
}

static void unlock_all(void *lock, struct lock_node *node)
{
	if (node->range.mode == RANGE_WRITE)
		ck_rwlock_write_unlock(lock);
	else
		ck_rwlock_read_unlock(lock);
}

const struct lock_ops ck_rwlock_ops = {
	.name = "ck_rwlock",
	.size = sizeof(ck_rwlock_t),
	.init = init,
	.destroy = destroy,
	.lock = lock_all,
	.unlock = unlock_all,
};
