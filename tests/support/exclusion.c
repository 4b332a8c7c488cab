/* SPDX-License-Identifier: MIT */
#include "exclusion.h"

#include <errno.h>
#include <string.h>

#define WRITER 0x10000u

struct worker {
	struct exclusion *exclusion;
	pthread_t thread;
	uint64_t state;
	unsigned int number;
	uint64_t attempts;
	uint64_t granted;
	uint64_t busy;
	uint64_t timed_out;
	uint64_t writes[SLOTS];
};

static int mmrange_lock(void *lock, struct range_hold *range, uint64_t start, uint64_t end,
			enum range_mode mode, enum how how, const struct timespec *deadline)
{
	if (how == BLOCK)
		return range_lock(lock, range, start, end, mode);
	if (how == TRY)
		return range_trylock(lock, range, start, end, mode);
	return range_timedlock(lock, range, start, end, mode, CLOCK_MONOTONIC, deadline);
}

static void mmrange_unlock(void *lock, struct range_hold *range)
{
	range_unlock(lock, range);
}

const struct lock_table mmrange_table = { mmrange_lock, mmrange_unlock };

static void report(struct exclusion *e, const struct range_hold *range, unsigned int slot,
		   const char *what, unsigned int inside)
{
	if (atomic_exchange(&e->violated, true))
		return;
	snprintf(e->violation, sizeof e->violation,
		 "a %s of [%" PRIu64 ", %" PRIu64 ") %s slot %u with %u writers and %u readers",
		 range->mode == RANGE_WRITE ? "writer" : "reader", range->start, range->end, what,
		 slot, inside / WRITER, inside % WRITER);
}

/* relaxed in enter() and leave(): the lock orders; see exclusion.h */
static void enter(struct exclusion *e, const struct range_hold *range, unsigned int i)
{
	unsigned int mine = range->mode == RANGE_WRITE ? WRITER : 1;
	unsigned int inside =
		atomic_fetch_add_explicit(&e->slot[i].inside, mine, memory_order_relaxed);

	if (range->mode == RANGE_WRITE ? inside != 0 : inside >= WRITER)
		report(e, range, i, "enters", inside);
}

static void leave(struct exclusion *e, const struct range_hold *range, unsigned int i)
{
	unsigned int mine = range->mode == RANGE_WRITE ? WRITER : 1;
	unsigned int inside =
		atomic_fetch_sub_explicit(&e->slot[i].inside, mine, memory_order_relaxed);

	if (range->mode == RANGE_WRITE ? inside != WRITER : inside >= WRITER)
		report(e, range, i, "leaves", inside - mine);
}

static void touch(struct exclusion *e, struct worker *worker, const struct range_hold *range,
		  unsigned int i)
{
	struct slot *slot = &e->slot[i];

	if (e->atomics_only)
		return;
	if (slot->check != ~slot->writes)
		report(e, range, i, "sees half a write in", 0);
	if (range->mode == RANGE_WRITE) {
		slot->writes++;
		slot->check = ~slot->writes;
		worker->writes[i]++;
	}
}

/*
 * Gives other threads the chance to come in. Where all threads share one processor, sched_yield()
 * may return to the same thread. A test that looks for the flaw of a lock therefore sleeps, so
 * that another thread must run.
 */
static void let_others_run(const struct exclusion *e)
{
	static const struct timespec moment = { .tv_nsec = 1000 };

	if (e->atomics_only)
		nanosleep(&moment, NULL);
	else
		sched_yield();
}

/* Between the way in and the way out, a thread sometimes lets other threads run. */
static void use(struct exclusion *e, struct worker *worker, const struct range_hold *range)
{
	unsigned int first = (unsigned int)range->start;
	unsigned int end = range->end < e->slots ? (unsigned int)range->end : e->slots;

	for (unsigned int i = first; i < end; i++)
		enter(e, range, i);
	if (test_random_below(&worker->state, 4) == 0)
		let_others_run(e);
	for (unsigned int i = first; i < end; i++)
		touch(e, worker, range, i);
	for (unsigned int i = first; i < end; i++)
		leave(e, range, i);
}

static void random_range(struct exclusion *e, struct worker *worker, uint64_t *start, uint64_t *end)
{
	uint64_t *state = &worker->state;
	uint64_t rate = test_random_below(state, 64);
	uint64_t share = e->slots / e->threads;

	if (rate < e->own_rate && share > 0) {
		*start = worker->number * share + test_random_below(state, share);
		*end = *start + 1;
		return;
	}
	*start = test_random_below(state, e->slots);
	*end = *start + 1;
	if (rate < e->own_rate + e->wide_rate) {
		*end += test_random_below(state, e->slots - *start);
		if (test_random_below(state, 4) == 0) {
			*start = 0;
			*end = UINT64_MAX;
		}
	} else if (*end < e->slots) {
		*end += test_random_below(state, 2);
	}
}

/* Returns whether the thread holds the range now. */
static bool acquire_random(struct exclusion *e, struct worker *worker, struct range_hold *range,
			   enum how how)
{
	enum range_mode mode =
		test_random_below(&worker->state, 8) < e->write_rate ? RANGE_WRITE : RANGE_READ;
	struct timespec deadline = { 0, 0 };
	uint64_t start, end;
	int result;

	random_range(e, worker, &start, &end);
	if (how == TIMED)
		deadline = time_after(CLOCK_MONOTONIC, test_random_below(&worker->state, 50000));
	worker->attempts++;
	result = e->table->lock(e->lock, range, start, end, mode, how, &deadline);
	if (!result) {
		worker->granted++;
		return true;
	}
	/* The checked build sees that a second range would wait for the first. */
	if (!(checked_build && result == EDEADLK && how == TIMED))
		CHECK_EQ(result, how == TRY ? EBUSY : how == TIMED ? ETIMEDOUT : 0);
	if (how == TRY)
		worker->busy++;
	else
		worker->timed_out++;
	return false;
}

static void one_round(struct exclusion *e, struct worker *worker)
{
	uint64_t kind = test_random_below(&worker->state, 8);
	enum how how = kind == 0 ? TRY : kind == 1 ? TIMED : BLOCK;
	struct range_hold ranges[2], *last = &ranges[0];

	if (!acquire_random(e, worker, &ranges[0], how))
		return;
	use(e, worker, &ranges[0]);
	/* A thread never waits for its second range without a deadline: that could deadlock. */
	if (test_random_below(&worker->state, 64) < e->pair_rate &&
	    acquire_random(e, worker, &ranges[1], kind % 2 ? TIMED : TRY)) {
		use(e, worker, &ranges[1]);
		/* Releases the two ranges in either order. */
		last = &ranges[kind / 2 % 2];
		e->table->unlock(e->lock, &ranges[last == &ranges[0]]);
		use(e, worker, last);
	}
	e->table->unlock(e->lock, last);
	/* Other threads must also find the lock while this thread holds no range. */
	if (e->atomics_only && test_random_below(&worker->state, 4) == 0)
		let_others_run(e);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct exclusion *e = worker->exclusion;

	for (unsigned int i = 0; e->rounds ? i < e->rounds : now_ns() < e->end; i++) {
		/* relaxed: must not order the threads */
		if (atomic_load_explicit(&e->violated, memory_order_relaxed))
			break;
		one_round(e, worker);
	}
	return NULL;
}

static void *do_meanwhile(void *arg)
{
	struct exclusion *e = arg;

	/* relaxed: must not order the threads */
	while (!atomic_load_explicit(&e->over, memory_order_relaxed)) {
		e->meanwhile(e->lock);
		sched_yield();
	}
	return NULL;
}

static void prepare(struct exclusion *e, struct worker *workers)
{
	uint64_t state = e->seed;

	CHECK(e->slots <= SLOTS);
	atomic_store(&e->violated, false);
	atomic_store(&e->over, false);
	e->attempts = e->granted = e->busy = e->timed_out = 0;
	for (unsigned int i = 0; i < SLOTS; i++) {
		atomic_store(&e->slot[i].inside, 0);
		e->slot[i].writes = 0;
		e->slot[i].check = UINT64_MAX;
	}
	for (unsigned int i = 0; i < e->threads; i++) {
		workers[i].exclusion = e;
		workers[i].number = i;
		workers[i].state = test_random(&state);
	}
}

static void sum_up(struct exclusion *e, const struct worker *workers)
{
	for (unsigned int t = 0; t < e->threads; t++) {
		e->attempts += workers[t].attempts;
		e->granted += workers[t].granted;
		e->busy += workers[t].busy;
		e->timed_out += workers[t].timed_out;
	}
	CHECK_EQ(e->granted + e->busy + e->timed_out, e->attempts);
}

/* Each slot counts exactly the writes of the threads, and no thread is inside. */
static void check_slots(struct exclusion *e, const struct worker *workers)
{
	for (unsigned int i = 0; i < e->slots; i++) {
		uint64_t expected = 0;

		for (unsigned int t = 0; t < e->threads; t++)
			expected += workers[t].writes[i];
		CHECK_EQ(e->slot[i].writes, expected);
		CHECK_EQ(atomic_load(&e->slot[i].inside), 0);
	}
}

bool exclusion_holds(struct exclusion *e)
{
	struct worker *workers = calloc(e->threads, sizeof *workers);
	pthread_t other = { 0 };
	bool violated;

	CHECK(workers);
	prepare(e, workers);
	if (e->meanwhile)
		other = thread_start(do_meanwhile, e);
	for (unsigned int i = 0; i < e->threads; i++)
		workers[i].thread = thread_start(work, &workers[i]);
	for (unsigned int i = 0; i < e->threads; i++)
		thread_join(workers[i].thread);
	atomic_store(&e->over, true);
	if (e->meanwhile)
		thread_join(other);
	violated = atomic_load(&e->violated);
	sum_up(e, workers);
	if (!violated)
		check_slots(e, workers);
	free(workers);
	return !violated;
}
