/* SPDX-License-Identifier: MIT */
/*
 * coherence-driver WORKLOAD LOCK CORES OPERATIONS - threads that lock and unlock, for the plugin to
 * count the transfers: of these operations alone, as nothing is done in between but to choose the
 * next range.
 *
 * Whatever the driver writes meanwhile is on lines of its own.
 */
#include "baselines/lock_ops.h"
#include "markers.h"
#include "workloads/worker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_THREADS = 64,
	MAX_PAUSE =
		16, /* turns of an empty loop between operations, so that threads get out of step */
	/* A range lock follows the load. It is left alone for so many rounds at least, until it has not
	 * changed in one, or for so many at most. */
	MIN_ROUNDS = 3,
	MAX_ROUNDS = 10,
};

struct thread {
	struct worker worker;
	alignas(2 * CACHE_LINE) _Atomic(uint64_t) done;
	pthread_t thread;
	unsigned int id;
	bool failed;
};

struct workload {
	const char *name;
	enum range_mode mode;
	void (*pick)(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end);
};

/* Read only while the threads run; .. */
static alignas(2 * CACHE_LINE) struct {
	const struct workload *workload;
	const struct lock_ops *ops;
	void *lock;
	struct thread *threads;
	unsigned int cores;
	unsigned long operations;
} run;

/* .. but for what the plugin writes, see markers.h, .. */
static alignas(2 * CACHE_LINE) atomic_ulong over = MARKER_PROBE;

/* .. and this, which thread 0 writes when all have met. */
static alignas(2 * CACHE_LINE) struct {
	unsigned int rounds;
	bool restless; /* it was still changing in the last round */
	atomic_bool over;
	uint64_t changes;
} warm_up;

static void own(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end)
{
	(void)random;
	*start = worker->own_first;
	*end = *start + 1;
}

static void share(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end)
{
	*start = worker->own_first + random % worker->own_slots;
	*end = *start + 1;
}

static void slot(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end)
{
	(void)worker;
	*start = random % NR_SLOTS;
	*end = *start + 1;
}

static void everything(const struct worker *worker, uint64_t random, uint64_t *start, uint64_t *end)
{
	(void)worker, (void)random;
	*start = 0;
	*end = UINT64_MAX;
}

static const struct workload workloads[] = {
	{ "own", RANGE_WRITE, own },
	{ "share", RANGE_WRITE, share },
	{ "shared_read", RANGE_READ, everything },
	{ "slot", RANGE_WRITE, slot },
};

static const struct lock_ops *const locks[] = {
	&mmrange_ops,
	&pthread_rwlock_ops,
	&pthread_mutex_ops,
	&tree_spinlock_ops,
};

static void operate(struct thread *thread)
{
	struct worker *worker = &thread->worker;
	uint64_t random = worker_random(worker);
	uint64_t pause = (random >> 32) % MAX_PAUSE;
	uint64_t start, end;

	run.workload->pick(worker, random & UINT32_MAX, &start, &end);
	if (run.ops->lock(run.lock, &worker->node, start, end, run.workload->mode) == 0)
		run.ops->unlock(run.lock, &worker->node);
	else
		thread->failed = true;
	while (pause--)
		atomic_signal_fence(memory_order_seq_cst);
}

/* By thread 0, when no other is at it: whether the lock has changed since the last time. Other
 * locks do not change. */
static void look(void)
{
	struct range_lock_stats stats = { 0 };
	uint64_t changes;
	bool enough;

	warm_up.rounds++;
	if (run.ops == &mmrange_ops)
		range_lock_stats(run.lock, &stats);
	changes = stats.splits + stats.merges;
	warm_up.restless = changes != warm_up.changes;
	warm_up.changes = changes;
	enough = run.ops != &mmrange_ops || warm_up.rounds >= MIN_ROUNDS;
	/* release: pairs with the load in get_warm() */
	atomic_store_explicit(&warm_up.over,
			      (enough && !warm_up.restless) || warm_up.rounds == MAX_ROUNDS,
			      memory_order_release);
}

/* relaxed: nobody reads what is stored but the plugin, and nothing is told by what is loaded */
static void do_round(struct thread *thread)
{
	unsigned long i;

	for (i = 1; i <= run.operations && !atomic_load_explicit(&over, memory_order_relaxed);
	     i++) {
		operate(thread);
		atomic_store_explicit(&thread->done, i, memory_order_relaxed);
	}
	marker(MARKER_DONE, 0, 0, 0);
}

static void get_warm(struct thread *thread)
{
	do {
		marker(MARKER_MEET, 0, 0, 0);
		do_round(thread);
		marker(MARKER_MEET, 0, 0, 0);
		if (thread->id == 0)
			look();
		marker(MARKER_MEET, 0, 0, 0);
		/* acquire: pairs with the store in look(). Atomic, as the compiler takes a system call
		 * for something that changes no variable. */
	} while (!atomic_load_explicit(&warm_up.over, memory_order_acquire));
	/* Once more: looking at the lock has taken its lines away. */
	do_round(thread);
}

static void *body(void *argument)
{
	struct thread *thread = argument;

	marker(MARKER_ENTER, thread->id, run.cores, (uintptr_t)&over);
	get_warm(thread);
	atomic_store_explicit(&thread->done, 0, memory_order_relaxed);
	marker(MARKER_COUNT, (uintptr_t)&thread->done, 0, 0);
	do_round(thread);
	return NULL;
}

static bool parse(char **argv)
{
	size_t i;

	for (i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (strcmp(argv[1], workloads[i].name) == 0)
			run.workload = &workloads[i];
	for (i = 0; i < sizeof(locks) / sizeof(locks[0]); i++)
		if (strcmp(argv[2], locks[i]->name) == 0)
			run.ops = locks[i];
	run.cores = (unsigned int)strtoul(argv[3], NULL, 10);
	run.operations = strtoul(argv[4], NULL, 10);
	return run.workload && run.ops && run.cores >= 1 && run.cores <= MAX_THREADS &&
	       run.operations > 0;
}

static void *new_lines(size_t size)
{
	size_t alignment = 2 * CACHE_LINE;
	void *memory = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);

	if (memory)
		memset(memory, 0, size);
	return memory;
}

static bool prepare(void)
{
	unsigned int i;

	run.lock = new_lines(run.ops->size);
	run.threads = new_lines(run.cores * sizeof(struct thread));
	if (!run.lock || !run.threads || run.ops->init(run.lock) != 0)
		return false;
	for (i = 0; i < run.cores; i++) {
		struct worker *worker = &run.threads[i].worker;

		run.threads[i].id = i;
		worker->random = i;
		worker->own_slots = NR_SLOTS / run.cores;
		worker->own_first = i * worker->own_slots;
	}
	marker(MARKER_NAME, (uintptr_t)run.lock, run.ops->size, (uintptr_t) "lock");
	marker(MARKER_NAME, (uintptr_t)run.threads, run.cores * sizeof(struct thread),
	       (uintptr_t) "threads");
	return true;
}

static bool run_threads(void)
{
	bool failed = false;
	unsigned int i;

	for (i = 0; i < run.cores; i++)
		if (pthread_create(&run.threads[i].thread, NULL, body, &run.threads[i]) != 0)
			return false;
	for (i = 0; i < run.cores; i++) {
		pthread_join(run.threads[i].thread, NULL);
		failed |= run.threads[i].failed;
	}
	return !failed;
}

int main(int argc, char **argv)
{
	if (argc != 5 || !parse(argv)) {
		fprintf(stderr,
			"usage: coherence-driver own|share|shared_read|slot "
			"mmrange|pthread_rwlock|pthread_mutex|tree_spinlock CORES OPERATIONS\n");
		return 2;
	}
	if (!prepare() || !run_threads() || run.ops->destroy(run.lock) != 0) {
		fprintf(stderr, "coherence-driver: no memory, or the lock returned an error\n");
		return 1;
	}
	printf("warm_up_rounds=%u settled=%d\n", warm_up.rounds, !warm_up.restless);
	return 0;
}
