/* SPDX-License-Identifier: MIT */
#include "harness.h"
#include "baselines/lock_ops.h"
#include "platform/platform.h"
#include "workloads/worker.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_BATCH = 1024, /* pairs that a thread takes at once: one shared write per so many .. */
	BATCHES = 8,      /* .. but at least so many batches for each thread */
	WARM_UP_PAIRS = 2000,
	WARM_UP_BATCH = 16,
	WARM_UP_NS = 1000000, /* whichever comes first */
};

const struct lock_ops *const locks[] = {
	&mmrange_ops,        &mmrange_fifo_ops,  &tree_spinlock_ops,
	&pthread_rwlock_ops, &pthread_mutex_ops,
};

const size_t nr_locks = sizeof(locks) / sizeof(locks[0]);

struct bench {
	/* Read only while the threads run. */
	alignas(2 * CACHE_LINE) const struct workload *workload;
	const struct lock_ops *ops;
	void *lock;
	struct slot *slots;
	struct worker *workers;
	unsigned int threads;
	uint64_t batch;
	char name[64];
	/* Written once per batch. */
	alignas(2 * CACHE_LINE) _Atomic(uint64_t) pairs_left;
	/* Written when the threads meet. */
	alignas(2 * CACHE_LINE) atomic_uint arrived;
	atomic_uint meetings;
	atomic_bool failed;
};

/* Zeroed, and on cache lines of its own. */
static void *new_lines(size_t size)
{
	size_t alignment = 2 * CACHE_LINE;
	void *memory;

	size = (size + alignment - 1) / alignment * alignment;
	memory = aligned_alloc(alignment, size);
	if (memory)
		memset(memory, 0, size);
	return memory;
}

static void init_worker(struct bench *bench, unsigned int thread)
{
	struct worker *worker = &bench->workers[thread];

	worker->ops = bench->ops;
	worker->lock = bench->lock;
	worker->slots = bench->slots;
	worker->writers = bench->workload->writers;
	worker->own_slots = NR_SLOTS / bench->threads;
	worker->own_first = thread * worker->own_slots;
	worker->random = thread;
}

static void free_memory(struct bench *bench)
{
	free(bench->workers);
	free(bench->slots);
	free(bench->lock);
	free(bench);
}

struct bench *bench_new(const struct workload *workload, const struct lock_ops *ops,
			unsigned int threads)
{
	struct bench *bench = new_lines(sizeof(*bench));
	unsigned int thread;

	if (!bench)
		return NULL;
	bench->workload = workload;
	bench->ops = ops;
	bench->threads = threads;
	snprintf(bench->name, sizeof(bench->name), "lock/%s/%s", workload->name, ops->name);
	bench->lock = new_lines(ops->size);
	bench->slots = new_lines(NR_SLOTS * sizeof(struct slot));
	bench->workers = new_lines(threads * sizeof(struct worker));
	if (!bench->lock || !bench->slots || !bench->workers || ops->init(bench->lock) != 0) {
		free_memory(bench);
		return NULL;
	}
	for (thread = 0; thread < threads; thread++)
		init_worker(bench, thread);
	return bench;
}

const char *bench_name(const struct bench *bench)
{
	return bench->name;
}

int bench_delete(struct bench *bench)
{
	int error = bench->ops->destroy(bench->lock);

	free_memory(bench);
	return error;
}

void bench_set_work(struct bench *bench, uint64_t pairs)
{
	uint64_t batch = pairs / bench->threads / BATCHES;

	if (batch > MAX_BATCH)
		batch = MAX_BATCH;
	bench->batch = batch ? batch : 1;
	/* relaxed: the threads meet before they look */
	atomic_store_explicit(&bench->pairs_left, pairs, memory_order_relaxed);
}

/* No sleeping: to wake 64 threads one after another takes long where others are on the processors.
 */
void bench_meet(struct bench *bench)
{
	/* relaxed: this meeting cannot end before this thread arrives */
	unsigned int meeting = atomic_load_explicit(&bench->meetings, memory_order_relaxed);

	/* acquire and release: pairs with itself in the other threads */
	if (atomic_fetch_add_explicit(&bench->arrived, 1, memory_order_acq_rel) + 1 ==
	    bench->threads) {
		/* relaxed: published by what follows */
		atomic_store_explicit(&bench->arrived, 0, memory_order_relaxed);
		/* release: pairs with the load below */
		atomic_store_explicit(&bench->meetings, meeting + 1, memory_order_release);
		return;
	}
	/* acquire: pairs with the store above */
	while (atomic_load_explicit(&bench->meetings, memory_order_acquire) == meeting)
		sched_yield();
}

static bool run_pairs(struct bench *bench, unsigned int thread, uint64_t pairs)
{
	if (bench->workload->run(&bench->workers[thread], pairs))
		return true;
	/* relaxed: read when the threads have met */
	atomic_store_explicit(&bench->failed, true, memory_order_relaxed);
	return false;
}

void bench_warm_up(struct bench *bench, unsigned int thread)
{
	uint64_t end = mmrange__now() + WARM_UP_NS;
	int pairs;

	for (pairs = 0; pairs < WARM_UP_PAIRS && mmrange__now() < end; pairs += WARM_UP_BATCH)
		if (!run_pairs(bench, thread, WARM_UP_BATCH))
			return;
}

/* Takes a batch from the work; 0 when there is none left. */
static uint64_t take_batch(struct bench *bench)
{
	/* relaxed: it orders nothing but itself */
	uint64_t left = atomic_load_explicit(&bench->pairs_left, memory_order_relaxed);
	uint64_t batch;

	do {
		batch = left < bench->batch ? left : bench->batch;
	} while (!atomic_compare_exchange_weak_explicit(&bench->pairs_left, &left, left - batch,
							memory_order_relaxed,
							memory_order_relaxed));
	return batch;
}

uint64_t bench_run(struct bench *bench, unsigned int thread)
{
	uint64_t done = 0;
	uint64_t batch;

	bench_meet(bench);
	while ((batch = take_batch(bench)) != 0) {
		if (!run_pairs(bench, thread, batch))
			break;
		done += batch;
	}
	bench_meet(bench);
	return done;
}

const char *bench_check(const struct bench *bench)
{
	uint64_t expected = 0;
	uint64_t found = 0;
	unsigned int i;

	/* relaxed: the caller is the only thread */
	if (atomic_load_explicit(&bench->failed, memory_order_relaxed))
		return "the lock returned an error";
	for (i = 0; i < bench->threads; i++)
		expected += bench->workers[i].increments;
	for (i = 0; i < NR_SLOTS; i++)
		found += bench->slots[i].value;
	return found == expected ? NULL : "increments were lost: the lock did not exclude";
}
