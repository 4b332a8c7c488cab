/* SPDX-License-Identifier: MIT */
/*
 * Each thread goes through its operations in order. Its progress is on cache lines of its own, and
 * it writes the progress only after operations on which others depend. So threads without
 * dependencies on each other write nothing that the other reads.
 *
 * Ordering: a thread stores its progress after the operation, and loads another thread's progress
 * before an operation that depends on it. A waiter that gives up spinning announces itself before
 * it looks at the progress for the last time; the other thread stores its progress before it looks
 * for waiters. All four are sequentially consistent, so at least one of the two sees the other. The
 * waiter sleeps under the lock that the other thread takes to wake it.
 *
 *	[REPLAY-P1]  a thread stores its progress     [REPLAY-P2]  a waiter loads it
 *	[REPLAY-W1]  a waiter announces itself        [REPLAY-W2]  the thread looks for waiters
 */
#include "replay.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How often a waiter looks before it sleeps: some microseconds. */
#define SPINS 1000

/* Operations between two looks at the number of pages. */
#define PEAK_INTERVAL 64

#define STACK_SIZE ((size_t)1 << 20)

/* A thread and its progress. */
struct runner {
	_Alignas(128) _Atomic(uint32_t) done; /* operations; other threads wait for it */
	_Atomic(uint32_t) waiters;
	_Alignas(128) pthread_mutex_t lock;
	pthread_cond_t progress;
	/* The thread's own: */
	struct replay *replay;
	pthread_t thread;
	uint32_t number;
	uint64_t end;
	uint64_t waits;
	uint64_t parks;
};

struct replay {
	const struct trace *trace;
	const struct schedule *schedule;
	struct mm *mm;
	struct runner *runners;
	pthread_mutex_t lock; /* protects the following */
	pthread_cond_t change;
	uint32_t ready;
	bool go;
	bool stop; /* replay_parallel() could not start all threads */
	int error; /* the first */
	char *message;
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void name_failure(const struct trace *trace, size_t i, int error, char *message)
{
	const struct trace_op *op = &trace->ops[i];
	const char *what = error == ERANGE ? "another result than recorded" : strerror(error);

	snprintf(message, REPLAY_MESSAGE_SIZE,
		 "operation %zu, %s at %#" PRIx64 " (%#" PRIx64 " bytes) of thread %" PRIu32 ": %s",
		 i, trace_kind_name((enum trace_kind)op->kind), op->addr, op->length, op->thread,
		 what);
}

int replay_sequential(const struct trace *trace, const struct schedule *schedule, struct mm *mm,
		      uint64_t *peak, char *message)
{
	struct mm_stats stats;

	if (peak)
		*peak = 0;
	for (size_t i = 0; i < trace->count; i++) {
		int error = replay_op(mm, &trace->ops[i], schedule->epoch[i]);

		if (error) {
			name_failure(trace, i, error, message);
			return error;
		}
		if (!peak || (i % PEAK_INTERVAL && i + 1 < trace->count))
			continue;
		mm_get_stats(mm, &stats, sizeof(stats));
		if (stats.pages > *peak)
			*peak = stats.pages;
	}
	return 0;
}

static void wait_for(struct runner *self, struct runner *other, uint32_t count)
{
	/* acquire [REPLAY-P2]: pairs with [REPLAY-P1] */
	if (atomic_load_explicit(&other->done, memory_order_acquire) >= count)
		return;
	self->waits++;
	for (int i = 0; i < SPINS; i++)
		if (atomic_load_explicit(&other->done, memory_order_acquire) >= count)
			return;
	self->parks++;
	pthread_mutex_lock(&other->lock);
	atomic_fetch_add(&other->waiters, 1);     /* [REPLAY-W1] */
	while (atomic_load(&other->done) < count) /* [REPLAY-P2] */
		pthread_cond_wait(&other->progress, &other->lock);
	/* relaxed: an announcement that stays visible too long costs a wake-up */
	atomic_fetch_sub_explicit(&other->waiters, 1, memory_order_relaxed);
	pthread_mutex_unlock(&other->lock);
}

static void publish(struct runner *self, uint32_t count)
{
	atomic_store(&self->done, count); /* [REPLAY-P1] */
	if (!atomic_load(&self->waiters)) /* [REPLAY-W2] */
		return;
	pthread_mutex_lock(&self->lock);
	pthread_cond_broadcast(&self->progress);
	pthread_mutex_unlock(&self->lock);
}

static void fail(struct replay *replay, uint32_t i, int error)
{
	pthread_mutex_lock(&replay->lock);
	if (!replay->error) {
		replay->error = error;
		name_failure(replay->trace, i, error, replay->message);
	}
	pthread_mutex_unlock(&replay->lock);
}

/* After an operation that has failed the thread goes on, so that no other thread waits forever. */
static void run(struct runner *self)
{
	const struct replay *replay = self->replay;
	const struct schedule *schedule = replay->schedule;
	uint32_t first = schedule->first_op[self->number],
		 end = schedule->first_op[self->number + 1];

	for (uint32_t k = first; k < end; k++) {
		uint32_t i = schedule->order[k];
		int error;

		for (uint32_t d = schedule->first_dependency[i];
		     d < schedule->first_dependency[i + 1]; d++) {
			const struct dependency *on = &schedule->dependencies[d];

			wait_for(self, &replay->runners[on->thread], on->count);
		}
		error = replay_op(replay->mm, &replay->trace->ops[i], schedule->epoch[i]);
		if (error)
			fail(self->replay, i, error);
		if (schedule->awaited[i])
			publish(self, k - first + 1);
	}
}

static void *thread_main(void *arg)
{
	struct runner *self = arg;
	struct replay *replay = self->replay;
	bool stop;

	pthread_mutex_lock(&replay->lock);
	replay->ready++;
	pthread_cond_broadcast(&replay->change);
	while (!replay->go)
		pthread_cond_wait(&replay->change, &replay->lock);
	stop = replay->stop;
	pthread_mutex_unlock(&replay->lock);
	if (!stop)
		run(self);
	self->end = now();
	return NULL;
}

/* Starts as many threads as it can, and returns their number. */
static uint32_t start_threads(struct replay *replay, int *error)
{
	pthread_attr_t attr;
	uint32_t i = 0;

	*error = pthread_attr_init(&attr);
	if (*error)
		return 0;
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (; i < replay->schedule->threads && !*error; i++)
		*error = pthread_create(&replay->runners[i].thread, &attr, thread_main,
					&replay->runners[i]);
	pthread_attr_destroy(&attr);
	return *error ? i - 1 : i;
}

/*
 * Lets the threads go, all at once, when all have started; if not all could be started, lets them
 * end.
 */
static uint64_t open_gate(struct replay *replay, uint32_t threads)
{
	uint64_t start;

	pthread_mutex_lock(&replay->lock);
	while (replay->ready < threads)
		pthread_cond_wait(&replay->change, &replay->lock);
	replay->go = true;
	replay->stop = threads < replay->schedule->threads;
	pthread_cond_broadcast(&replay->change);
	start = now();
	pthread_mutex_unlock(&replay->lock);
	return start;
}

static void collect(const struct replay *replay, uint64_t start, struct replay_result *result)
{
	*result = (struct replay_result){ 0 };
	for (uint32_t i = 0; i < replay->schedule->threads; i++) {
		const struct runner *runner = &replay->runners[i];

		if (runner->end - start > result->nanoseconds)
			result->nanoseconds = runner->end - start;
		result->waits += runner->waits;
		result->parks += runner->parks;
	}
}

static int create_runners(struct replay *replay)
{
	uint32_t threads = replay->schedule->threads;
	void *memory = NULL;

	if (posix_memalign(&memory, _Alignof(struct runner), threads * sizeof(struct runner)))
		return ENOMEM;
	replay->runners = memset(memory, 0, threads * sizeof(struct runner));
	for (uint32_t i = 0; i < threads; i++) {
		struct runner *runner = &replay->runners[i];

		runner->replay = replay;
		runner->number = i;
		pthread_mutex_init(&runner->lock, NULL);
		pthread_cond_init(&runner->progress, NULL);
	}
	return 0;
}

static void destroy_runners(struct replay *replay)
{
	for (uint32_t i = 0; i < replay->schedule->threads; i++) {
		pthread_cond_destroy(&replay->runners[i].progress);
		pthread_mutex_destroy(&replay->runners[i].lock);
	}
	free(replay->runners);
}

int replay_parallel(const struct trace *trace, const struct schedule *schedule, struct mm *mm,
		    struct replay_result *result, char *message)
{
	struct replay replay = {
		.trace = trace, .schedule = schedule, .mm = mm, .message = message
	};
	uint32_t started;
	uint64_t start;
	int error = create_runners(&replay);

	message[0] = '\0';
	if (error) {
		snprintf(message, REPLAY_MESSAGE_SIZE, "no memory for the threads");
		return error;
	}
	pthread_mutex_init(&replay.lock, NULL);
	pthread_cond_init(&replay.change, NULL);
	started = start_threads(&replay, &error);
	start = open_gate(&replay, started);
	for (uint32_t i = 0; i < started; i++)
		pthread_join(replay.runners[i].thread, NULL);
	if (error)
		snprintf(message, REPLAY_MESSAGE_SIZE,
			 "thread %" PRIu32 " of %" PRIu32 " cannot be started: %s", started + 1,
			 schedule->threads, strerror(error));
	else
		collect(&replay, start, result);
	pthread_cond_destroy(&replay.change);
	pthread_mutex_destroy(&replay.lock);
	destroy_runners(&replay);
	return error ? error : replay.error;
}
