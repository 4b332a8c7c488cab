/* SPDX-License-Identifier: MIT */
#include "uncontended.h"
#include "worker.h"

static inline bool run(struct worker *worker, uint64_t pairs, enum range_mode mode)
{
	const struct lock_ops *ops = worker->ops;
	void *lock = worker->lock;

	worker->writes += mode == RANGE_WRITE ? pairs : 0;
	while (pairs--) {
		if (ops->lock(lock, &worker->node, 0, 1, mode) != 0)
			return false;
		ops->unlock(lock, &worker->node);
	}
	return true;
}

bool uncontended_write(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, RANGE_WRITE);
}

bool uncontended_read(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, RANGE_READ);
}
