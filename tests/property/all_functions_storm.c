/* SPDX-License-Identifier: MIT */
/*
 * Many threads, which come and go, call all functions of the lock at once, while the process forks
 * and the memory hooks fail at random. Each key has a word that records the threads inside, and
 * data that writers change and readers read. The results of range_cancel() must agree with the
 * results of the waiters' calls. The walk must show only possible ranges, and each range that stays
 * exactly once.
 *
 * Then the same with locks that have one fault each, which the test must detect.
 */
#include "actors.h"
#include "child.h"
#include "forks.h"
#include "simple_lock.h"

#include "range_lock/lock.h"

#include <errno.h>
#include <string.h>

enum { KEYS = 48, MOST_THREADS = 300, MOST = 3, STAY = 3, WRITER = 0x10000 };

struct key {
	_Alignas(64) atomic_uint inside; /* readers, plus WRITER for each writer */
	uint64_t writes;                 /* plain, like check, which is always ~writes */
	uint64_t check;
};

struct storm;

struct worker {
	struct storm *storm;
	pthread_t thread;
	uint64_t seed;
	struct range_hold ranges[MOST];
	bool held[MOST];
	unsigned int nr_held;
	unsigned int stay_shown[STAY];
	uint64_t last_start;
	uint64_t writes[KEYS];
};

struct storm {
	const struct lock_functions *functions;
	struct range_lock *lock;
	bool library;
	unsigned int threads, lives, operations;
	bool atomics_only; /* do not touch the plain data: a broken lock makes a data race of it */
	uint64_t seed, patience;
	struct key keys[KEYS];
	struct worker workers[MOST_THREADS];
	struct range_hold stay[STAY]; /* held throughout, beyond the keys */
	struct memory_books books;
	struct range_lock_counters counters;
	FILE *nowhere;
	atomic_uint canceled, gave_up;
	atomic_uint_fast64_t progress, counts[16];
	atomic_bool over;
};

static uint64_t below(struct worker *w, uint64_t limit)
{
	return test_random_below(&w->seed, limit);
}

/* relaxed in all of these: the lock orders, and ThreadSanitizer reports a lock that does not */

static void check_word(const char *what, unsigned int key, unsigned int inside, bool good)
{
	if (!good)
		test_fail(__FILE__, __LINE__,
			  "a thread that %s key %u finds %u writers, %u readers", what, key,
			  inside / WRITER, inside % WRITER);
}

static unsigned int last_key(uint64_t end)
{
	return end < KEYS ? (unsigned int)end : KEYS;
}

static void enter(struct worker *w, uint64_t start, uint64_t end, enum range_mode mode)
{
	for (unsigned int i = (unsigned int)start; i < last_key(end); i++) {
		struct key *key = &w->storm->keys[i];
		unsigned int inside = atomic_fetch_add_explicit(
			&key->inside, mode == RANGE_WRITE ? WRITER : 1, memory_order_relaxed);

		check_word("enters", i, inside, mode == RANGE_WRITE ? !inside : inside < WRITER);
	}
}

static void leave(struct worker *w, uint64_t start, uint64_t end, enum range_mode mode)
{
	for (unsigned int i = (unsigned int)start; i < last_key(end); i++) {
		struct key *key = &w->storm->keys[i];
		unsigned int inside = atomic_fetch_sub_explicit(
			&key->inside, mode == RANGE_WRITE ? WRITER : 1, memory_order_relaxed);

		check_word("leaves", i, inside,
			   mode == RANGE_WRITE ? inside == WRITER : inside - 1 < WRITER - 1);
	}
}

/* From one mode to the other; a reader that becomes a writer is alone, like any writer. */
static void change(struct worker *w, const struct range_hold *r, unsigned int from, unsigned int to)
{
	for (unsigned int i = (unsigned int)r->start; i < last_key(r->end); i++) {
		unsigned int inside = atomic_fetch_add_explicit(&w->storm->keys[i].inside,
								to - from, memory_order_relaxed);

		check_word("changes its mode at", i, inside, inside == from);
	}
}

static void use(struct worker *w, const struct range_hold *r)
{
	for (unsigned int i = (unsigned int)r->start; i < last_key(r->end); i++) {
		struct key *key = &w->storm->keys[i];

		if (w->storm->atomics_only)
			continue;
		CHECK(key->check == ~key->writes);
		if (r->mode != RANGE_WRITE)
			continue;
		key->writes++;
		key->check = ~key->writes;
		w->writes[i]++;
	}
}

static void random_bounds(struct worker *w, uint64_t *start, uint64_t *end)
{
	*start = below(w, KEYS);
	*end = *start + 1 + below(w, below(w, 8) ? 3 : KEYS - *start);
}

static enum range_mode random_mode(struct worker *w)
{
	return below(w, 3) ? RANGE_READ : RANGE_WRITE;
}

static void poison(struct range_hold *range)
{
	/* A later access of the lock is a data race, or finds garbage. */
	memset(range, 0xff, sizeof *range);
}

static int unused(struct worker *w)
{
	for (int i = 0; i < MOST; i++)
		if (!w->held[i])
			return i;
	return -1;
}

static int some_held(struct worker *w)
{
	int first = (int)below(w, MOST);

	for (int i = 0; i < MOST; i++)
		if (w->held[(first + i) % MOST])
			return (first + i) % MOST;
	return -1;
}

static void begin_hold(struct worker *w, int i)
{
	w->held[i] = true;
	w->nr_held++;
	enter(w, w->ranges[i].start, w->ranges[i].end, w->ranges[i].mode);
}

static void refused(struct worker *w, int i, int error, bool try, bool timed)
{
	if (error == ECANCELED)
		atomic_fetch_add(&w->storm->gave_up, 1);
	else if (checked_build && error == EDEADLK)
		CHECK(timed && w->nr_held > 0);
	else
		CHECK_EQ(error, try ? EBUSY : ETIMEDOUT);
	CHECK(error != ECANCELED || !try);
	CHECK(error != ETIMEDOUT || timed);
	poison(&w->ranges[i]);
}

/* A thread that holds a range never waits without a deadline. */
static void acquire(struct worker *w)
{
	const struct lock_functions *f = w->storm->functions;
	struct timespec soon = time_after(CLOCK_MONOTONIC, below(w, 200000));
	uint64_t start, end, due = (uint64_t)soon.tv_sec * SECOND + (uint64_t)soon.tv_nsec;
	unsigned int how = (unsigned int)below(w, w->nr_held ? 2 : 4);
	enum range_mode mode = random_mode(w);
	int i = unused(w), error;

	if (i < 0)
		return;
	random_bounds(w, &start, &end);
	/* Also beyond the keys, where the ranges that stay conflict with it. */
	if (how < 2 && below(w, 16) == 0)
		end = UINT64_MAX;
	if (how == 0)
		error = f->trylock(w->storm->lock, &w->ranges[i], start, end, mode);
	else if (how == 1)
		error = f->timedlock(w->storm->lock, &w->ranges[i], start, end, mode,
				     CLOCK_MONOTONIC, &soon);
	else
		error = f->lock(w->storm->lock, &w->ranges[i], start, end, mode);
	CHECK(error != ETIMEDOUT || now_ns() >= due);
	if (error)
		refused(w, i, error, how == 0, how == 1);
	else
		begin_hold(w, i);
}

/* By one of the three calls. */
static int lock_many(struct worker *w, struct range_request *requests, unsigned int n)
{
	const struct lock_functions *f = w->storm->functions;
	struct timespec soon = time_after(CLOCK_MONOTONIC, below(w, 200000));
	uint64_t due = (uint64_t)soon.tv_sec * SECOND + (uint64_t)soon.tv_nsec;
	unsigned int how = (unsigned int)below(w, 4);
	int error;

	if (how == 0) {
		error = f->trylock_many(w->storm->lock, requests, n);
		CHECK(error == 0 || error == EBUSY);
	} else if (how == 1) {
		error = f->timedlock_many(w->storm->lock, requests, n, CLOCK_MONOTONIC, &soon);
		CHECK(error == 0 || error == ECANCELED || (error == ETIMEDOUT && now_ns() >= due));
	} else {
		error = f->lock_many(w->storm->lock, requests, n);
		CHECK(error == 0 || error == ECANCELED);
	}
	return error;
}

static void acquire_many(struct worker *w)
{
	struct range_request requests[MOST];
	unsigned int n = 1 + (unsigned int)below(w, MOST);
	uint64_t last = below(w, KEYS / 2);
	int error;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t start = last + below(w, 5), end = start + 1 + below(w, 3);

		requests[i] = (struct range_request){ &w->ranges[i], start, end, random_mode(w) };
		last = end;
	}
	error = lock_many(w, requests, n);
	if (error == ECANCELED)
		atomic_fetch_add(&w->storm->gave_up, 1);
	for (int i = 0; i < (int)n; i++) {
		if (error)
			poison(&w->ranges[i]);
		else
			begin_hold(w, i);
	}
}

static void release(struct worker *w, int i)
{
	struct range_hold *r = &w->ranges[i];

	use(w, r);
	leave(w, r->start, r->end, r->mode);
	w->storm->functions->unlock(w->storm->lock, r);
	w->held[i] = false;
	w->nr_held--;
	poison(r);
}

static void change_mode(struct worker *w, struct range_hold *r)
{
	const struct lock_functions *f = w->storm->functions;

	if (r->mode == RANGE_WRITE) {
		change(w, r, WRITER, 1);
		f->downgrade(w->storm->lock, r);
		CHECK_EQ(r->mode, RANGE_READ);
	} else if (!f->tryupgrade(w->storm->lock, r)) {
		CHECK_EQ(r->mode, RANGE_WRITE);
		change(w, r, 1, WRITER);
	}
}

static void shrink(struct worker *w, struct range_hold *r)
{
	uint64_t start = r->start + below(w, r->end - r->start);
	uint64_t end = start + 1 + below(w, r->end - start);

	leave(w, r->start, start, r->mode);
	leave(w, end, r->end, r->mode);
	CHECK_EQ(w->storm->functions->shrink(w->storm->lock, r, start, end), 0);
}

static void extend(struct worker *w, struct range_hold *r)
{
	uint64_t old_start = r->start, old_end = r->end;
	uint64_t start = r->start - below(w, r->start < 3 ? r->start + 1 : 3);
	uint64_t end = r->end < KEYS ? r->end + below(w, 3) : r->end;
	int error = w->storm->functions->tryextend(w->storm->lock, r, start, end);

	if (error) {
		CHECK_EQ(error, EBUSY);
		CHECK(r->start == old_start && r->end == old_end);
		return;
	}
	enter(w, start, old_start, r->mode);
	enter(w, old_end, end, r->mode);
}

static void split(struct worker *w, struct range_hold *r)
{
	int i = unused(w);

	if (i < 0 || r->end - r->start < 2)
		return;
	CHECK_EQ(w->storm->functions->split(w->storm->lock, r,
					    r->start + 1 + below(w, r->end - r->start - 1),
					    &w->ranges[i]),
		 0);
	w->held[i] = true;
	w->nr_held++;
}

/* With each other range that the worker holds: the result says whether they fit. */
static void join(struct worker *w, struct range_hold *r)
{
	for (int i = 0; i < MOST; i++) {
		struct range_hold *upper = &w->ranges[i];
		bool fits;

		if (!w->held[i])
			continue;
		fits = r->end == upper->start && r->mode == upper->mode;
		CHECK_EQ(w->storm->functions->join(w->storm->lock, r, upper), fits ? 0 : EINVAL);
		if (fits) {
			w->held[i] = false;
			w->nr_held--;
		}
	}
}

/* The address may be stale. */
static void cancel(struct worker *w, struct range_hold *range)
{
	int error = w->storm->functions->cancel(w->storm->lock, range);

	if (error)
		CHECK_EQ(error, ESRCH);
	else
		atomic_fetch_add(&w->storm->canceled, 1);
}

static int check_info(const struct range_info *info, void *arg)
{
	struct worker *w = arg;
	struct storm *storm = w->storm;
	uintptr_t at = (uintptr_t)info->range;
	uintptr_t workers = (uintptr_t)storm->workers, stay = (uintptr_t)storm->stay;

	CHECK(info->start < info->end);
	CHECK(info->mode == RANGE_READ || info->mode == RANGE_WRITE);
	if (info->state == RANGE_STATE_HELD) {
		CHECK(info->start >= w->last_start);
		w->last_start = info->start;
	}
	if (stay <= at && at < stay + sizeof storm->stay) {
		CHECK_EQ(info->state, RANGE_STATE_HELD);
		w->stay_shown[info->range - storm->stay]++;
		return 0;
	}
	CHECK(workers <= at && at < workers + sizeof storm->workers);
	if (info->state != RANGE_STATE_HELD && below(w, 16) == 0)
		cancel(w, info->range);
	return 0;
}

static void look(struct worker *w)
{
	memset(w->stay_shown, 0, sizeof w->stay_shown);
	w->last_start = 0;
	CHECK_EQ(w->storm->functions->foreach (w->storm->lock, check_info, w), 0);
	for (int i = 0; i < STAY; i++)
		CHECK_EQ(w->stay_shown[i], 1);
	if (w->storm->library && below(w, 4) == 0)
		CHECK_EQ(w->storm->functions->dump(w->storm->lock, w->storm->nowhere), 0);
}

/* All waits of the storm's lock that have ended. */
static uint64_t ended_waits(struct storm *storm)
{
	struct range_lock_times times;

	CHECK_EQ(storm->functions->get_times(storm->lock, &times), 0);
	return times.mode[RANGE_READ].waits + times.mode[RANGE_WRITE].waits;
}

static void count(struct worker *w)
{
	struct range_lock_stats stats;
	uint64_t ended = w->storm->library ? ended_waits(w->storm) : 0;

	w->storm->functions->stats(w->storm->lock, &stats);
	CHECK_EQ(stats.leaves, 1 + stats.splits - stats.merges);
	CHECK(ended <= stats.waits);
	if (w->storm->library)
		CHECK(stats.leaves <= range__max_leaves(range__lock(w->storm->lock)));
}

/* Any function; functions for held ranges only while the worker holds one. */
static void do_something(struct worker *w)
{
	unsigned int what = (unsigned int)below(w, 16);
	struct storm *storm = w->storm;
	int i = some_held(w);

	atomic_fetch_add_explicit(&storm->counts[what], 1, memory_order_relaxed);
	if (what == 0 && below(w, 4) == 0)
		look(w);
	else if (what == 0)
		count(w);
	else if (what == 1)
		cancel(w, &storm->workers[below(w, storm->threads)].ranges[below(w, MOST)]);
	else if (what == 2 && storm->library && below(w, 8) == 0)
		make_impatient(storm->lock);
	else if (what == 2)
		sched_yield();
	else if (i < 0 && what == 3)
		acquire_many(w);
	else if (i < 0 || what < 6)
		acquire(w);
	else if (what == 6)
		change_mode(w, &w->ranges[i]);
	else if (what == 7)
		shrink(w, &w->ranges[i]);
	else if (what == 8)
		extend(w, &w->ranges[i]);
	else if (what == 9)
		split(w, &w->ranges[i]);
	else if (what == 11)
		join(w, &w->ranges[i]);
	else if (what == 10)
		use(w, &w->ranges[i]);
	else
		release(w, i);
	atomic_fetch_add_explicit(&storm->progress, 1, memory_order_relaxed);
}

static void *live(void *arg)
{
	struct worker *w = arg;

	for (unsigned int i = 0; i < w->storm->operations; i++)
		do_something(w);
	for (int i = 0; i < MOST; i++)
		if (w->held[i])
			release(w, i);
	return NULL;
}

/* Ends a process in which no call returns any more. */
static void *watch(void *arg)
{
	static const struct timespec moment = { .tv_nsec = 5000000 };
	struct storm *storm = arg;
	uint64_t last = 0, since = now_ns();

	while (!atomic_load(&storm->over)) {
		uint64_t progress = atomic_load(&storm->progress);

		if (progress != last) {
			last = progress;
			since = now_ns();
		}
		if (now_ns() - since > storm->patience)
			test_fail(__FILE__, __LINE__, "no thread goes on");
		nanosleep(&moment, NULL);
	}
	return NULL;
}

static void use_in_child(void *arg)
{
	struct storm *storm = arg;
	struct range_lock other = RANGE_LOCK_INITIALIZER;
	struct range_hold range;

	storm->functions->child(storm->lock);
	CHECK_EQ(storm->functions->trylock(storm->lock, &range, FULL, RANGE_WRITE), 0);
	storm->functions->unlock(storm->lock, &range);
	CHECK_EQ(storm->functions->destroy(storm->lock), 0);
	take(&other, &range, 0, 10, RANGE_READ);
	range_unlock(&other, &range);
	check_quiet_and_destroy(&other);
}

static void begin_stay(struct storm *storm)
{
	for (unsigned int i = 0; i < STAY; i++)
		CHECK_EQ(storm->functions->trylock(storm->lock, &storm->stay[i], 1000 + 10 * i,
						   1001 + 10 * i, i ? RANGE_READ : RANGE_WRITE),
			 0);
}

static void end_stay(struct storm *storm)
{
	for (unsigned int i = 0; i < STAY; i++)
		storm->functions->unlock(storm->lock, &storm->stay[i]);
}

static void begin_life(struct storm *storm, struct worker *w)
{
	w->storm = storm;
	w->seed = test_random(&storm->seed);
	w->thread = thread_start(live, w);
}

static void check_keys(struct storm *storm)
{
	for (unsigned int i = 0; i < KEYS; i++) {
		uint64_t writes = 0;

		for (unsigned int t = 0; t < storm->threads; t++)
			writes += storm->workers[t].writes[i];
		CHECK_EQ(storm->keys[i].writes, writes);
		CHECK_EQ(atomic_load(&storm->keys[i].inside), 0);
	}
}

/* Each thread has lives - 1 successors. */
static void run_threads(struct storm *storm)
{
	static const unsigned int grants[] = { 0, 1, 3, UINT32_MAX };

	for (unsigned int t = 0; t < storm->threads; t++)
		begin_life(storm, &storm->workers[t]);
	for (unsigned int life = 0; life < storm->lives; life++) {
		atomic_store(&storm->books.grants, grants[test_random_below(&storm->seed, 4)]);
		if (life % 2 == 0)
			check_in_child(use_in_child, storm);
		for (unsigned int t = 0; t < storm->threads; t++) {
			thread_join(storm->workers[t].thread);
			if (life + 1 < storm->lives)
				begin_life(storm, &storm->workers[t]);
		}
	}
}

static void run(struct storm *storm)
{
	pthread_t watcher;

	for (unsigned int i = 0; i < KEYS; i++)
		storm->keys[i].check = UINT64_MAX;
	begin_stay(storm);
	watcher = thread_start(watch, storm);
	run_threads(storm);
	atomic_store(&storm->over, true);
	thread_join(watcher);
	check_keys(storm);
	CHECK_EQ(atomic_load(&storm->canceled), atomic_load(&storm->gave_up));
	if (storm->library)
		CHECK_EQ(ended_waits(storm), lock_stats(storm->lock).waits);
	CHECK_EQ(storm->functions->destroy(storm->lock), EBUSY);
	end_stay(storm);
	CHECK_EQ(storm->functions->destroy(storm->lock), 0);
}

static struct storm storm;

static void init(const struct lock_functions *functions, void *lock, uint64_t seed)
{
	memset(&storm, 0, sizeof storm);
	storm.functions = functions;
	storm.library = functions == &library_functions;
	storm.lock = lock;
	storm.seed = seed;
	storm.patience = 60 * SECOND;
}

static void check_library(const char *test, enum range_fairness fairness)
{
	static const struct {
		unsigned int threads, lives, operations;
		uint32_t leaves;
	} sizes[] = {
		{ 4, 20, 800, 1024 }, { 16, 6, 600, 3 }, { 64, 4, 200, 1024 }, { 300, 2, 80, 64 }
	};
	uint64_t seed = test_seed(test);

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		static struct range_lock lock;
		struct range_lock_attr attr;

		init(&library_functions, &lock, test_random(&seed));
		storm.threads = sizes[i].threads <= 4 ? 4 : test_scale(sizes[i].threads);
		storm.lives = sizes[i].lives;
		storm.operations = test_scale(sizes[i].operations);
		range_lock_attr_init(&attr);
		attr.fairness = fairness;
		attr.max_leaves = sizes[i].leaves;
		attr.starvation_ns = i % 2 ? 1000 : 500000;
		attr.counters = &storm.counters;
		use_memory_books(&attr, &storm.books, UINT32_MAX);
		CHECK_EQ(range_lock_init(&lock, &attr), 0);
		storm.nowhere = fopen("/dev/null", "w");
		CHECK(storm.nowhere);
		run(&storm);
		fclose(storm.nowhere);
		check_memory_balanced(&storm.books);
		fprintf(stderr, "%u threads: %u waits canceled\n", storm.threads,
			atomic_load(&storm.canceled));
	}
}

TEST(all_functions_storm, exclusion_and_results_hold_with_barging)
{
	check_library("all_functions_storm/exclusion_and_results_hold_with_barging",
		      RANGE_FAIRNESS_BARGING);
}

TEST(all_functions_storm, exclusion_and_results_hold_with_fifo)
{
	check_library("all_functions_storm/exclusion_and_results_hold_with_fifo",
		      RANGE_FAIRNESS_FIFO);
}

static enum fault fault;
static uint64_t fault_seed;

static void run_simple(void)
{
	for (int fifo = 0; fifo < 2; fifo++) {
		struct simple_lock lock;

		simple_lock_init(&lock, fault, fifo);
		init(&simple_functions, &lock, fault_seed + (uint64_t)fifo);
		storm.threads = 8;
		storm.lives = fault == FAULT_NONE ? 2 : 20;
		storm.operations = fault == FAULT_NONE ? test_scale(400) : 1000;
		storm.atomics_only = fault != FAULT_NONE;
		if (fault != FAULT_NONE)
			storm.patience = SECOND / 4;
		run(&storm);
	}
}

TEST(all_functions_storm, the_test_accepts_a_simple_correct_lock)
{
	fault = FAULT_NONE;
	fault_seed = test_seed("all_functions_storm/the_test_accepts_a_simple_correct_lock");
	run_simple();
}

TEST(all_functions_storm, the_test_detects_faulty_locks)
{
	static const enum fault faults[] = { FAULT_LAST_KEY,         FAULT_LOST_WAKEUP,
					     FAULT_CANCEL_GRANTS,    FAULT_TIMEOUT_GRANTS,
					     FAULT_SPLIT_LOSES,      FAULT_EXTEND_BLIND,
					     FAULT_UPGRADE_BLIND,    FAULT_MANY_FIRST,
					     FAULT_MANY_KEEPS_FIRST, FAULT_CHILD_HOLDS };
	uint64_t seed = test_seed("all_functions_storm/the_test_detects_faulty_locks");
	char errors[4096];

	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		fault = faults[i];
		fault_seed = test_random(&seed);
		if (!run_in_child(run_simple, errors, sizeof errors) || !strstr(errors, "failed: "))
			test_fail(__FILE__, __LINE__, "the test did not detect the fault \"%s\"",
				  fault_names[fault]);
		fprintf(stderr, "%s: %s", fault_names[fault], strstr(errors, "failed: "));
	}
}
