/* SPDX-License-Identifier: MIT */
/*
 * The recipe of range_lock.h for a range that is known only under the lock: threads append records
 * to a log, cut it off, and read it.
 *
 * The oracle is an owner per cell. A record must find its cells free, a cut must find all cells
 * below the end taken, and so must a reader. Threads change owners by relaxed atomics, which order
 * no threads. They also write plain data, so that ThreadSanitizer reports two that are in a cell at
 * the same time. The recipe with one step left out must be found.
 */
#include "actors.h"

enum { CELLS = 512, THREADS = 5, LONGEST = 6 };

/* How much an append locks: all from the guess on, or as much as it needs. */
enum form { TO_THE_LAST_KEY, AS_NEEDED };

enum fault {
	NO_FAULT,
	NO_LOOK,        /* takes the guess for the end */
	NO_RETRY,       /* goes on with an end that it does not hold */
	END_MOVES_LATE, /* after the release */
	READER_DOES_NOT_LOOK,
	FAULTS
};

struct log {
	struct range_lock lock;
	enum form form;
	enum fault fault;
	uint64_t seed;
	_Atomic uint64_t end; /* relaxed: the lock orders */
	_Atomic uint64_t owner[CELLS];
	uint64_t data[CELLS];           /* plain */
	_Atomic(const char *) mistake;  /* NULL: none yet */
	_Atomic uint64_t again, shrunk; /* appends that began again, or whose guess was too low */
};

struct worker {
	struct log *log;
	uint64_t random;
	uint64_t id; /* of its next record */
	unsigned int rounds;
	pthread_t thread;
};

static uint64_t end_of(struct log *log)
{
	return atomic_load_explicit(&log->end, memory_order_relaxed);
}

static void found_mistake(struct log *log, const char *mistake)
{
	atomic_store(&log->mistake, mistake);
}

/* Lets others come in between. */
static void dawdle(struct worker *worker)
{
	if (test_random_below(&worker->random, 8) == 0)
		sched_yield();
}

static bool may_go_on(const struct log *log, uint64_t guess, uint64_t end)
{
	return log->fault == NO_RETRY ||
	       (log->form == TO_THE_LAST_KEY ? end >= guess : end == guess);
}

/* Steps 1 to 3. */
static uint64_t lock_end(struct worker *worker, struct range_hold *range, uint64_t n)
{
	struct log *log = worker->log;

	for (;;) {
		uint64_t guess = end_of(log), end = guess;

		dawdle(worker);
		CHECK_EQ(range_lock(&log->lock, range, guess,
				    log->form == TO_THE_LAST_KEY ? UINT64_MAX : guess + n,
				    RANGE_WRITE),
			 0);
		if (log->fault != NO_LOOK)
			end = end_of(log);
		if (may_go_on(log, guess, end)) {
			if (end > guess)
				atomic_fetch_add(&log->shrunk, 1);
			return end;
		}
		range_unlock(&log->lock, range);
		atomic_fetch_add(&log->again, 1);
	}
}

static void put(struct log *log, uint64_t cell, uint64_t id)
{
	uint64_t old = atomic_exchange_explicit(&log->owner[cell], id, memory_order_relaxed);

	if (!old == !id)
		found_mistake(log, id ? "two records in a cell" : "a cut of a free cell");
	/* A fault makes a data race of it. */
	if (log->fault == NO_FAULT)
		log->data[cell] = id;
}

static void cut(struct worker *worker, uint64_t to)
{
	struct log *log = worker->log;
	struct range_hold range;
	uint64_t end;

	CHECK_EQ(range_lock(&log->lock, &range, to, UINT64_MAX, RANGE_WRITE), 0);
	end = end_of(log);
	for (uint64_t cell = to; cell < end; cell++)
		put(log, cell, 0);
	if (to < end)
		atomic_store_explicit(&log->end, to, memory_order_relaxed);
	range_unlock(&log->lock, &range);
}

static void move_end(struct log *log, uint64_t end)
{
	atomic_store_explicit(&log->end, end, memory_order_relaxed);
}

static void append(struct worker *worker)
{
	struct log *log = worker->log;
	uint64_t n = 1 + test_random_below(&worker->random, LONGEST);
	struct range_hold range;
	uint64_t start = lock_end(worker, &range, n);

	if (start + n > CELLS) {
		range_unlock(&log->lock, &range);
		cut(worker, 0);
		return;
	}
	dawdle(worker);
	if (log->fault != END_MOVES_LATE)
		move_end(log, start + n);
	if (range_shrink(&log->lock, &range, start, start + n))
		found_mistake(log, "a record outside the range");
	dawdle(worker);
	for (uint64_t cell = start; cell < start + n; cell++)
		put(log, cell, worker->id);
	worker->id += THREADS;
	range_unlock(&log->lock, &range);
	if (log->fault == END_MOVES_LATE)
		move_end(log, start + n);
}

static void read_all(struct worker *worker)
{
	struct log *log = worker->log;
	uint64_t guess = end_of(log), end;
	struct range_hold range;

	if (guess == 0)
		return;
	dawdle(worker);
	CHECK_EQ(range_lock(&log->lock, &range, 0, guess, RANGE_READ), 0);
	end = end_of(log);
	if (end > guess || log->fault == READER_DOES_NOT_LOOK)
		end = guess;
	for (uint64_t cell = 0; cell < end; cell++) {
		uint64_t owner = atomic_load_explicit(&log->owner[cell], memory_order_relaxed);

		if (!owner)
			found_mistake(log, "a reader met a free cell");
		else if (log->fault == NO_FAULT && log->data[cell] != owner)
			found_mistake(log, "a reader met half a write");
	}
	range_unlock(&log->lock, &range);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct log *log = worker->log;

	for (unsigned int i = 0; i < worker->rounds && !atomic_load(&log->mistake); i++) {
		uint64_t kind = test_random_below(&worker->random, 16);

		if (kind == 0)
			cut(worker, test_random_below(&worker->random, end_of(log) + 1));
		else if (kind < 4)
			read_all(worker);
		else
			append(worker);
	}
	return NULL;
}

/* Returns the first mistake, or NULL. */
static const char *run(struct log *log, unsigned int rounds)
{
	struct worker workers[THREADS];

	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ log, log->seed + i, 1 + i, rounds, 0 };
		workers[i].thread = thread_start(work, &workers[i]);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		thread_join(workers[i].thread);
	log->seed += THREADS;
	return atomic_load(&log->mistake);
}

static void check_finds_nothing(enum form form, enum range_fairness fairness, uint32_t leaves)
{
	static struct log log;
	const char *mistake;

	log = (struct log){ .form = form, .seed = test_seed("append_torture") };
	init_lock(&log.lock, fairness, leaves);
	mistake = run(&log, test_scale(20000));
	if (mistake)
		test_fail(__FILE__, __LINE__, "%s", mistake);
	/* Otherwise the test would have tested little. */
	CHECK(log.again > 0 && (form == AS_NEEDED || log.shrunk > 0));
	check_quiet_and_destroy(&log.lock);
}

TEST(append_torture, records_find_their_place_when_all_from_a_guess_on_is_locked)
{
	check_finds_nothing(TO_THE_LAST_KEY, RANGE_FAIRNESS_BARGING, 1024);
	check_finds_nothing(TO_THE_LAST_KEY, RANGE_FAIRNESS_FIFO, 1024);
	check_finds_nothing(TO_THE_LAST_KEY, RANGE_FAIRNESS_BARGING, 1);
}

TEST(append_torture, records_find_their_place_when_only_their_bytes_are_locked)
{
	check_finds_nothing(AS_NEEDED, RANGE_FAIRNESS_BARGING, 1024);
	check_finds_nothing(AS_NEEDED, RANGE_FAIRNESS_FIFO, 1);
}

TEST(append_torture, the_test_detects_every_step_that_is_left_out)
{
	for (int form = TO_THE_LAST_KEY; form <= AS_NEEDED; form++) {
		for (int fault = NO_FAULT + 1; fault < FAULTS; fault++) {
			static struct log log;

			log = (struct log){ .form = (enum form)form,
					    .fault = (enum fault)fault,
					    .seed = test_seed("append_torture/broken") };
			init_lock(&log.lock, RANGE_FAIRNESS_BARGING, 1024);
			/* Each ends sooner or later, or the watchdog ends the test. */
			while (!run(&log, 1000))
				;
			check_quiet_and_destroy(&log.lock);
		}
	}
}
