/* SPDX-License-Identifier: MIT */
/*
 * ck_brlock - Concurrency Kit's big-reader spinlock: each reader has a counter of its own, and a
 * writer waits for all of them. It has no ranges, prefers writers, and never sleeps.
 */
#include "lock_node.h"
#include "lock_ops.h"

#include <ck_brlock.h>
#include <errno.h>
#include <stdlib.h>

/* A reader on lines of its own. */
enum { READER_SIZE = 128 };

_Static_assert(sizeof(ck_brlock_reader_t) <= READER_SIZE, "a reader fits");

static int init(void *lock)
{
	ck_brlock_init(lock);
	return 0;
}

static int destroy(void *lock)
{
	const ck_brlock_t *brlock = lock;

	return brlock->readers ? EBUSY : 0;
}

static int join(void *lock, void **thread)
{
	*thread = aligned_alloc(READER_SIZE, READER_SIZE);
	if (!*thread)
		return ENOMEM;
	ck_brlock_read_register(lock, *thread);
	return 0;
}

static void leave(void *lock, void *thread)
{
	ck_brlock_read_unregister(lock, thread);
	free(thread);
}

static int lock_all(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		    enum range_mode mode)
{
	(void)start;
	(void)end;
	node->range.mode = (uint8_t)mode;
	if (mode == RANGE_WRITE)
		ck_brlock_write_lock(lock);
	else
		ck_brlock_read_lock(lock, node->thread);
	return 0;
}

static void unlock_all(void *lock, struct lock_node *node)
{
	if (node->range.mode == RANGE_WRITE)
		ck_brlock_write_unlock(lock);
	else
		ck_brlock_read_unlock(node->thread);
}

const struct lock_ops ck_brlock_ops = {
	.name = "ck_brlock",
	.size = sizeof(ck_brlock_t),
	.init = init,
	.destroy = destroy,
	.join = join,
	.leave = leave,
	.lock = lock_all,
	.unlock = unlock_all,
};
