/* SPDX-License-Identifier: MIT */
#include "shared_read.h"
#include "busy.h"
#include "worker.h"

enum { SECTION = 8 };

bool shared_read(struct worker *worker, uint64_t pairs)
{
	const struct lock_ops *ops = worker->ops;
	void *lock = worker->lock;

	while (pairs--) {
		if (ops->lock(lock, &worker->node, 0, UINT64_MAX, RANGE_READ) != 0)
			return false;
		busy(SECTION);
		ops->unlock(lock, &worker->node);
	}
	return true;
}
