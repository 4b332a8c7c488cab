/* SPDX-License-Identifier: MIT */
#include "held.h"
#include "worker.h"

#include <stdlib.h>

/*
 * Of every DISTANCE keys the first is held, and the thread locks key PLACE. No ranges touch,
 * because the kernel joins file locks that do.
 */
enum { DISTANCE = 4, PLACE = 2 };

bool held_among(struct worker *worker, uint64_t pairs)
{
	const struct lock_ops *ops = worker->ops;
	void *lock = worker->lock;
	uint64_t places = worker->held ? worker->held : 1;

	while (pairs--) {
		uint64_t place = (worker_random(worker) >> 32) * places >> 32;
		uint64_t start = place * DISTANCE + PLACE;

		if (ops->lock(lock, &worker->node, start, start + 1, RANGE_WRITE) != 0)
			return false;
		ops->unlock(lock, &worker->node);
		worker->writes++;
	}
	return true;
}

struct lock_node *held_begin(const struct lock_ops *ops, void *lock, void *thread, uint32_t nr)
{
	struct lock_node *held = aligned_alloc(_Alignof(struct lock_node), nr * sizeof(*held));
	uint32_t i;

	for (i = 0; held && i < nr; i++) {
		uint64_t start = (uint64_t)i * DISTANCE;

		held[i].thread = thread;
		if (ops->lock(lock, &held[i], start, start + 1, RANGE_WRITE) == 0)
			continue;
		held_end(ops, lock, held, i);
		return NULL;
	}
	return held;
}

void held_end(const struct lock_ops *ops, void *lock, struct lock_node *held, uint32_t nr)
{
	while (nr--)
		ops->unlock(lock, &held[nr]);
	free(held);
}
