/* SPDX-License-Identifier: MIT */
/*
 * mmrange, mmrange_fifo - the range lock of this library, with its default attributes and as a
 * FIFO.
 */
#include "lock_node.h"
#include "lock_ops.h"

static int init(void *lock)
{
	return range_lock_init(lock, NULL);
}

static int init_fifo(void *lock)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.fairness = RANGE_FAIRNESS_FIFO;
	return range_lock_init(lock, &attr);
}

static int destroy(void *lock)
{
	return range_lock_destroy(lock);
}

static int lock_range(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
		      enum range_mode mode)
{
	return range_lock(lock, &node->range, start, end, mode);
}

static int lock_range_async(void *lock, struct lock_node *node, uint64_t start, uint64_t end,
			    enum range_mode mode, range_callback *callback, void *arg)
{
	return range_lock_async(lock, &node->range, start, end, mode, callback, arg);
}

static void unlock_range(void *lock, struct lock_node *node)
{
	range_unlock(lock, &node->range);
}

static uint64_t changes(void *lock)
{
	struct range_lock_stats stats;

	range_lock_stats(lock, &stats);
	return stats.splits + stats.merges;
}

static uint64_t waits(void *lock)
{
	struct range_lock_stats stats;

	range_lock_stats(lock, &stats);
	return stats.waits;
}

const struct lock_ops mmrange_ops = {
	.name = "mmrange",
	.size = sizeof(struct range_lock),
	.max_ranges = UINT32_MAX,
	.init = init,
	.destroy = destroy,
	.lock = lock_range,
	.lock_async = lock_range_async,
	.unlock = unlock_range,
	.changes = changes,
	.waits = waits,
};

const struct lock_ops mmrange_fifo_ops = {
	.name = "mmrange_fifo",
	.size = sizeof(struct range_lock),
	.max_ranges = UINT32_MAX,
	.init = init_fifo,
	.destroy = destroy,
	.lock = lock_range,
	.lock_async = lock_range_async,
	.unlock = unlock_range,
	.changes = changes,
	.waits = waits,
};
