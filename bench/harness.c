/* SPDX-License-Identifier: MIT */
#include "harness.h"
#include "baselines/lock_ops.h"
#include "crew.h"
#include "latency.h"
#include "platform/platform.h"
#include "workloads/async.h"
#include "workloads/busy.h"
#include "workloads/held.h"
#include "workloads/worker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WARM_UP_PAIRS = 2000,
	WARM_UP_BATCH = 16,
	WARM_UP_NS = 1000000, /* whichever comes first */
	MOST_LOOPS = 8,       /* an event loop is for a processor of its own */
	LOOP_ROUNDS = 64, /* pairs of each request between the beginning and the end of a batch */
	/* To make a lock as fine as only the worst load makes it takes longer. */
	PREPARE_SETTLES = 5,
};

uint64_t bench_settle_ns = UINT64_C(1000000000);

struct bench {
	/* Read only while the threads run. */
	alignas(2 * CACHE_LINE) enum bench_kind kind;
	const struct workload *workload;
	const struct lock_ops *ops;
	void *lock;
	struct slot *slots;
	struct worker *workers;
	struct lock_node *held;
	void *holder; /* the result of join() for the thread that holds these ranges */
	unsigned int threads;
	char name[64];
	/* Locked while a thread makes the lock and the workers. */
	pthread_mutex_t opening;
	struct crew crew;
	/* Written when the threads meet. */
	alignas(2 * CACHE_LINE) _Atomic(uint64_t) end; /* of bench_run_for(); 0: not known yet */
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

/* In a workload with roles, at least one thread reads and one writes. */
static unsigned int per_cent_writers(const struct bench *bench, unsigned int thread)
{
	const struct workload *workload = bench->workload;

	if (!workload->roles)
		return workload->writers;
	return thread * 100 < workload->writers * bench->threads ? 100 : 0;
}

static uint32_t nr_slots(const struct bench *bench)
{
	return bench->workload->slots ? bench->workload->slots : NR_SLOTS;
}

static void init_worker(struct bench *bench, unsigned int thread)
{
	struct worker *worker = &bench->workers[thread];

	worker->ops = bench->ops;
	if (worker->latency) {
		worker->latency->ops = bench->ops;
		worker->ops = &latency_ops;
	}
	worker->lock = bench->lock;
	worker->slots = bench->slots;
	worker->nr_slots = nr_slots(bench);
	worker->threads = bench->threads;
	worker->writers = per_cent_writers(bench, thread);
	worker->own_slots = NR_SLOTS / bench->threads;
	worker->own_first = thread * worker->own_slots;
	worker->held = bench->workload->held;
	worker->hold = busy_loops(bench->workload->hold_ns);
	worker->random = thread;
}

bool bench_makes_sense(enum bench_kind kind, const struct workload *workload,
		       const struct lock_ops *ops, unsigned int threads)
{
	if (kind == BENCH_LATENCY ? threads == 1 && !workload->waits : workload->waits)
		return false;
	if (workload->prepare && !ops->changes)
		return false;
	if (workload->async ? !ops->lock_async || kind == BENCH_LATENCY : !ops->lock)
		return false;
	if (workload->in_flight && threads > MOST_LOOPS)
		return false;
	if (workload->alone ? threads > 1 : workload->roles && threads == 1)
		return false;
	return !workload->ranges || (ops->max_ranges && workload->held <= ops->max_ranges);
}

struct bench *bench_new(enum bench_kind kind, const struct workload *workload,
			const struct lock_ops *ops, unsigned int threads)
{
	struct bench *bench = new_lines(sizeof(*bench));

	if (!bench)
		return NULL;
	bench->kind = kind;
	bench->workload = workload;
	bench->ops = ops;
	bench->threads = threads;
	crew_init(&bench->crew, threads);
	pthread_mutex_init(&bench->opening, NULL);
	snprintf(bench->name, sizeof(bench->name), "%s/%s/%s",
		 kind == BENCH_LATENCY ? "latency" : "lock", workload->name, ops->name);
	return bench;
}

const char *bench_name(const struct bench *bench)
{
	return bench->name;
}

static int join(const struct bench *bench, void **thread)
{
	return bench->ops->join ? bench->ops->join(bench->lock, thread) : 0;
}

static void leave(const struct bench *bench, void *thread)
{
	if (bench->ops->leave)
		bench->ops->leave(bench->lock, thread);
}

static bool hold_ranges(struct bench *bench)
{
	uint32_t nr = bench->workload->held;

	if (!nr)
		return true;
	if (join(bench, &bench->holder) != 0)
		return false;
	bench->held = held_begin(bench->ops, bench->lock, bench->holder, nr);
	if (bench->held)
		return true;
	leave(bench, bench->holder);
	return false;
}

static int release_lock(struct bench *bench)
{
	if (bench->held) {
		held_end(bench->ops, bench->lock, bench->held, bench->workload->held);
		leave(bench, bench->holder);
	}
	return bench->ops->destroy(bench->lock);
}

static bool prepare(const struct bench *bench)
{
	return !bench->workload->prepare ||
	       bench->workload->prepare(bench->lock, PREPARE_SETTLES * bench_settle_ns);
}

static bool make_lock(struct bench *bench)
{
	void *lock = new_lines(bench->ops->size);

	if (!lock)
		return false;
	if (bench->ops->init(lock) == 0) {
		bench->lock = lock;
		if (prepare(bench) && hold_ranges(bench))
			return true;
		release_lock(bench);
		bench->lock = NULL;
	}
	free(lock);
	return false;
}

static bool make_latencies(struct bench *bench)
{
	unsigned int thread;

	for (thread = 0; thread < bench->threads; thread++) {
		struct worker *worker = &bench->workers[thread];

		worker->latency = new_lines(sizeof(*worker->latency));
		if (!worker->latency)
			return false;
	}
	return true;
}

static bool make_loops(struct bench *bench)
{
	unsigned int thread;

	for (thread = 0; thread < bench->threads; thread++) {
		bench->workers[thread].loop = async_loop_new(bench->workload->in_flight);
		if (!bench->workers[thread].loop)
			return false;
	}
	return true;
}

static bool make_workers(struct bench *bench)
{
	unsigned int thread;

	bench->slots = new_lines(nr_slots(bench) * sizeof(struct slot));
	if (!bench->slots)
		return false;
	bench->workers = new_lines(bench->threads * sizeof(struct worker));
	if (!bench->workers || (bench->kind == BENCH_LATENCY && !make_latencies(bench)))
		return false;
	if (bench->workload->in_flight && !make_loops(bench))
		return false;
	for (thread = 0; thread < bench->threads; thread++)
		init_worker(bench, thread);
	return true;
}

bool bench_enter(struct bench *bench, unsigned int thread)
{
	bool ready;

	pthread_mutex_lock(&bench->opening);
	ready = bench->workers || (make_lock(bench) && make_workers(bench));
	pthread_mutex_unlock(&bench->opening);
	return ready && join(bench, &bench->workers[thread].node.thread) == 0;
}

void bench_leave(struct bench *bench, unsigned int thread)
{
	leave(bench, bench->workers[thread].node.thread);
}

int bench_delete(struct bench *bench)
{
	int error = bench->lock ? release_lock(bench) : 0;
	unsigned int thread;

	for (thread = 0; bench->workers && thread < bench->threads; thread++) {
		free(bench->workers[thread].latency);
		async_loop_delete(bench->workers[thread].loop);
	}
	pthread_mutex_destroy(&bench->opening);
	free(bench->workers);
	free(bench->slots);
	free(bench->lock);
	free(bench);
	return error;
}

void bench_set_work(struct bench *bench, uint64_t pairs)
{
	crew_set_work(&bench->crew, pairs);
}

void bench_meet(struct bench *bench)
{
	crew_meet(&bench->crew);
}

static bool run_pairs(struct bench *bench, unsigned int thread, uint64_t pairs)
{
	if (bench->workload->run(&bench->workers[thread], pairs))
		return true;
	/* relaxed: threads read it only after they have met */
	atomic_store_explicit(&bench->failed, true, memory_order_relaxed);
	return false;
}

/* Each thread calls it once in the life of the lock, all at the same time. */
static void settle(struct bench *bench, unsigned int thread)
{
	struct worker *worker = &bench->workers[thread];
	uint64_t end = mmrange__now() + bench_settle_ns;

	if (!bench->workload->settles || !bench->ops->changes || worker->settled)
		return;
	while (mmrange__now() < end)
		if (!run_pairs(bench, thread, WARM_UP_BATCH))
			return;
	worker->settled = true;
}

void bench_warm_up(struct bench *bench, unsigned int thread)
{
	uint64_t end = mmrange__now() + WARM_UP_NS;
	int pairs;

	for (pairs = 0; pairs < WARM_UP_PAIRS && mmrange__now() < end; pairs += WARM_UP_BATCH)
		if (!run_pairs(bench, thread, WARM_UP_BATCH))
			return;
	settle(bench, thread);
}

uint64_t bench_changes(const struct bench *bench)
{
	return bench->ops->changes ? bench->ops->changes(bench->lock) : 0;
}

/*
 * At the beginning and at the end of a batch, an event loop has fewer requests in flight: so it
 * takes enough batches at once.
 */
static uint64_t take_batches(struct bench *bench)
{
	uint64_t enough = (uint64_t)bench->workload->in_flight * LOOP_ROUNDS;
	uint64_t taken = crew_take(&bench->crew);
	uint64_t batch = taken;

	while (batch && taken < enough) {
		batch = crew_take(&bench->crew);
		taken += batch;
	}
	return taken;
}

uint64_t bench_waits(const struct bench *bench)
{
	return bench->ops->waits ? bench->ops->waits(bench->lock) : 0;
}

struct pairs bench_run(struct bench *bench, unsigned int thread)
{
	const struct worker *worker = &bench->workers[thread];
	struct pairs done = { 0 };
	uint64_t writes = worker->writes;
	uint64_t batch;

	bench_meet(bench);
	while ((batch = take_batches(bench)) != 0) {
		if (!run_pairs(bench, thread, batch))
			break;
		done.all += batch;
	}
	done.writes = worker->writes - writes;
	bench_meet(bench);
	return done;
}

/* The first thread to come here, when all have met, decides when the run ends. */
static uint64_t end_of_run(struct bench *bench, uint64_t ns)
{
	uint64_t end = mmrange__now() + ns;
	uint64_t first = 0;

	/* relaxed: the variable orders no other data */
	if (atomic_compare_exchange_strong_explicit(&bench->end, &first, end, memory_order_relaxed,
						    memory_order_relaxed))
		return end;
	return first;
}

struct pairs bench_run_for(struct bench *bench, unsigned int thread, uint64_t ns)
{
	const struct worker *worker = &bench->workers[thread];
	struct latency *latency = worker->latency;
	uint64_t writes = worker->writes;
	struct pairs done;
	uint64_t end;

	latency_reset(latency);
	bench_meet(bench);
	end = end_of_run(bench, ns);
	while (run_pairs(bench, thread, 1) && latency->now < end)
		;
	done.all = latency_count(latency);
	done.writes = worker->writes - writes;
	bench_meet(bench);
	/* relaxed: the threads meet before they read it again */
	atomic_store_explicit(&bench->end, 0, memory_order_relaxed);
	return done;
}

struct adapted bench_adapted(const struct bench *bench, unsigned int thread)
{
	const struct worker *worker = &bench->workers[thread];
	double writes = worker->leaves ? (double)worker->writes : 1;

	return (struct adapted){ (double)worker->leaves / writes, (double)worker->biased / writes };
}

const struct latency *bench_latency(const struct bench *bench, unsigned int thread)
{
	return bench->workers[thread].latency;
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
	for (i = 0; i < nr_slots(bench); i++)
		found += bench->slots[i].value;
	return found == expected ? NULL : "increments were lost: the lock did not exclude";
}
