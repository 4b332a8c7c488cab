/* SPDX-License-Identifier: MIT */
#include "crew.h"

#include <sched.h>

enum {
	MAX_BATCH = 1024, /* for a thread at once: one shared write per this much work .. */
	BATCHES = 8,      /* .. but at least this many batches per thread */
};

void crew_init(struct crew *crew, unsigned int threads)
{
	crew->threads = threads;
	crew->batch = 1;
	atomic_init(&crew->left, 0);
	atomic_init(&crew->arrived, 0);
	atomic_init(&crew->meetings, 0);
}

void crew_set_work(struct crew *crew, uint64_t work)
{
	uint64_t batch = work / crew->threads / BATCHES;

	if (batch > MAX_BATCH)
		batch = MAX_BATCH;
	crew->batch = batch ? batch : 1;
	/* relaxed: the threads meet before they read it */
	atomic_store_explicit(&crew->left, work, memory_order_relaxed);
}

uint64_t crew_take(struct crew *crew)
{
	/* relaxed: the variable orders no other data */
	uint64_t left = atomic_load_explicit(&crew->left, memory_order_relaxed);
	uint64_t batch;

	do {
		batch = left < crew->batch ? left : crew->batch;
	} while (!atomic_compare_exchange_weak_explicit(
		&crew->left, &left, left - batch, memory_order_relaxed, memory_order_relaxed));
	return batch;
}

/*
 * The threads do not sleep: to wake 64 threads one after another takes long while other threads
 * have the processors.
 */
void crew_meet(struct crew *crew)
{
	/* relaxed: this meeting cannot end before this thread arrives */
	unsigned int meeting = atomic_load_explicit(&crew->meetings, memory_order_relaxed);

	/* acquire and release: pairs with the same operation of the other threads */
	if (atomic_fetch_add_explicit(&crew->arrived, 1, memory_order_acq_rel) + 1 ==
	    crew->threads) {
		/* relaxed: the store below publishes it */
		atomic_store_explicit(&crew->arrived, 0, memory_order_relaxed);
		/* release: pairs with the load below */
		atomic_store_explicit(&crew->meetings, meeting + 1, memory_order_release);
		return;
	}
	/* acquire: pairs with the store above */
	while (atomic_load_explicit(&crew->meetings, memory_order_acquire) == meeting)
		sched_yield();
}
