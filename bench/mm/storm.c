/* SPDX-License-Identifier: MIT */
/*
 * One thread faults in one place. Other threads, which are not counted, may disturb it. Their
 * mappings lie where the library maps without an address, far from there.
 */
#include "storm.h"
#include "worker.h"
#include "workloads/busy.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	OTHER_PAGES = 16,
	COARSE_NS = 10000000, /* from one coarse lock to the next */
	BUSY_LOOPS = 1000,
	MAX_OTHERS = 2,
};

struct other {
	struct mm_worker worker; /* its passed counts its operations */
	struct storm *storm;
	void (*disturb)(struct mm_worker *worker);
	pthread_t thread;
};

struct storm {
	alignas(CREW_LINES) atomic_bool over;
	struct other others[MAX_OTHERS];
	unsigned int nr;
};

static void map_and_unmap(struct mm_worker *worker)
{
	uint64_t addr = map_anywhere(worker, OTHER_PAGES * MM_PAGE_SIZE);

	fault_in(worker, addr, OTHER_PAGES * MM_PAGE_SIZE);
	unmap(worker, addr, OTHER_PAGES * MM_PAGE_SIZE);
}

static void lock_everything(struct mm_worker *worker)
{
	const struct timespec pause = { 0, COARSE_NS };

	must(worker, "mm_write_lock", worker->ops->write_lock(worker->mm));
	worker->ops->write_unlock(worker->mm);
	nanosleep(&pause, NULL);
}

static void compute(struct mm_worker *worker)
{
	(void)worker;
	busy(BUSY_LOOPS);
}

static void *body(void *argument)
{
	struct other *other = argument;

	/* relaxed: the flag orders no other data; pthread_join() orders the operations */
	while (!atomic_load_explicit(&other->storm->over, memory_order_relaxed)) {
		other->disturb(&other->worker);
		atomic_fetch_add_explicit(&other->worker.passed, 1, memory_order_relaxed);
	}
	return NULL;
}

/* Returns when the new thread has begun its work. */
static void add(struct mm_worker *worker, void (*disturb)(struct mm_worker *worker))
{
	struct storm *storm = worker->own;
	struct other *other = &storm->others[storm->nr++];

	other->storm = storm;
	other->disturb = disturb;
	other->worker.ops = worker->ops;
	other->worker.mm = worker->mm;
	other->worker.name = worker->name;
	must(worker, "pthread_create", pthread_create(&other->thread, NULL, body, other));
	/* relaxed: the counter orders no other data */
	while (!atomic_load_explicit(&other->worker.passed, memory_order_relaxed))
		sched_yield();
}

void storm_begin_none(struct mm_worker *worker)
{
	struct storm *storm = aligned_alloc(alignof(struct storm), sizeof(*storm));

	must(worker, "aligned_alloc", storm ? 0 : ENOMEM);
	memset(storm, 0, sizeof(*storm));
	worker->own = storm;
	map_at(worker, BASE, worker->size);
}

void storm_begin_busy(struct mm_worker *worker)
{
	storm_begin_none(worker);
	add(worker, compute);
}

void storm_begin_map(struct mm_worker *worker)
{
	struct storm *storm;

	storm_begin_none(worker);
	storm = worker->own;
	worker->others = &storm->others[0].worker.passed;
	add(worker, map_and_unmap);
}

void storm_begin(struct mm_worker *worker)
{
	storm_begin_map(worker);
	add(worker, lock_everything);
}

void storm_end(struct mm_worker *worker)
{
	struct storm *storm = worker->own;
	unsigned int i;

	/* relaxed: see body() */
	atomic_store_explicit(&storm->over, true, memory_order_relaxed);
	for (i = 0; i < storm->nr; i++) {
		pthread_join(storm->others[i].thread, NULL);
		worker->faults += storm->others[i].worker.faults;
	}
	free(storm);
}

void storm_fault(struct mm_worker *worker, uint64_t rounds)
{
	while (rounds--) {
		worker->items += fault_in(worker, BASE, worker->size);
		zap(worker, BASE, worker->size);
	}
}
