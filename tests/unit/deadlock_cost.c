/* SPDX-License-Identifier: MIT */
/* The checked build does little work for waiters: the test counts it, and does not time it. */
#include "actors.h"
#include "dummy_waiter.h"

#include "range_lock/checked.h"
#include "range_lock/deadlock.h"
#include "range_lock/deadlock_register.h"
#include "range_lock/forest.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

enum { THREADS = 4000 };

static struct range_lock lock;

/* Counts calls of all threads but the test's own. The linker redirects the calls, by --wrap. */
static _Thread_local bool is_counted = true;
static atomic_uint mutex_locks, parks, timed_parks;

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);
int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (is_counted)
		atomic_fetch_add(&mutex_locks, 1);
	return __real_pthread_mutex_lock(mutex);
}

int __wrap_mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
			 const struct timespec *deadline)
{
	if (is_counted) {
		atomic_fetch_add(&parks, 1);
		atomic_fetch_add(&timed_parks, deadline != NULL);
	}
	return __real_mmrange__park(word, expected, clock, deadline);
}

static void start_counting(void)
{
	atomic_store(&mutex_locks, 0);
	atomic_store(&parks, 0);
	atomic_store(&timed_parks, 0);
	range__deadlock_steps = 0;
	is_counted = false;
}

static void *wait_for_key(void *arg)
{
	struct range_hold range;

	CHECK_EQ(range_lock(&lock, &range, 5, 6, RANGE_WRITE), 0);
	range_unlock(&lock, &range);
	return arg;
}

static pthread_t start_small(void *(*run)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;

	CHECK_EQ(pthread_attr_init(&attr), 0);
	CHECK_EQ(pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN + 65536), 0);
	CHECK_EQ(pthread_create(&thread, &attr, run, NULL), 0);
	pthread_attr_destroy(&attr);
	return thread;
}

static void drain(enum range_fairness fairness, unsigned int n)
{
	static pthread_t threads[THREADS];
	struct range_hold held;

	init_lock(&lock, fairness, 8);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	start_counting();
	for (unsigned int i = 0; i < n; i++)
		threads[i] = start_small(wait_for_key);
	AWAIT(lock_stats(&lock).waits == n);
	range_unlock(&lock, &held);
	for (unsigned int i = 0; i < n; i++)
		thread_join(threads[i]);
	check_quiet_and_destroy(&lock);
}

TEST(deadlock_cost, waiters_that_hold_no_range_drain_in_a_few_lock_operations_each)
{
	unsigned int n = test_scale(THREADS);

	for (int fair = 0; fair < 2; fair++) {
		drain(fairnesses[fair], n);
		printf("%u waiters: %u mutexes locked, %u times parked, %" PRIu64 " looked at\n", n,
		       atomic_load(&mutex_locks), atomic_load(&parks), range__deadlock_steps);
		/* Three for the range, two for the wait, and one for each of a few looks. */
		CHECK(atomic_load(&mutex_locks) <= 10 * n);
		/* No waiter wakes up periodically to look. */
		CHECK_EQ(atomic_load(&timed_parks), 0);
		/* A waiter that becomes starving has only the holder before it. */
		CHECK(range__deadlock_steps <= 10 * n);
	}
}

/* Waiters that do not exist, each of a thread that holds a range of its own. */
struct pretended {
	struct range_hold range, held;
	struct range__set set;
	struct range__wait wait;
};

static void take_as(uint64_t thread, struct range_hold *range, uint64_t start, uint64_t end,
		    enum range_mode mode)
{
	uint64_t self = mmrange__self();

	mmrange__thread = thread << 32 | thread;
	take(&lock, range, start, end, mode);
	mmrange__thread = self;
}

static void queue_as(struct pretended *p, uint64_t thread, uint64_t arrival, uint64_t start,
		     uint64_t end, bool starving)
{
	p->range.start = start;
	p->range.end = end;
	p->range.mode = RANGE_WRITE;
	p->set = range__set_of(range__lock(&lock), range__hold(&p->range));
	queue_set(&p->set, thread << 32 | thread, arrival, starving, &p->wait, false);
	range__deadlock_register(&p->wait);
}

static void hold_and_queue(struct pretended *p, uint64_t thread, uint64_t start, uint64_t end)
{
	take_as(thread, &p->held, 1000000 + thread, 1000001 + thread, RANGE_WRITE);
	queue_as(p, thread, thread, start, end, true);
}

/* What the look of the last waiter costs, if waiter i of n waits for [start(i), end(i)). */
static uint64_t look_of_last(unsigned int n, uint64_t (*start)(uint64_t i),
			     uint64_t (*end)(uint64_t i))
{
	struct pretended *all = calloc(n, sizeof *all);
	struct range_hold held;
	uint64_t steps;

	CHECK(all);
	init_lock(&lock, RANGE_FAIRNESS_FIFO, 8);
	take(&lock, &held, 0, 100000, RANGE_WRITE);
	for (unsigned int i = 0; i < n; i++)
		hold_and_queue(&all[i], 1000 + i, start(i), end(i));
	range__deadlock_steps = 0;
	CHECK(range__deadlock_look(&all[n - 1].wait));
	steps = range__deadlock_steps;
	for (unsigned int i = 0; i < n; i++) {
		CHECK_EQ(range_cancel(&lock, &all[n - 1 - i].range), 0);
		range__deadlock_leave(&all[n - 1 - i].wait, 0);
		range_unlock(&lock, &all[n - 1 - i].held);
	}
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
	free(all);
	return steps;
}

static uint64_t zero(uint64_t i)
{
	(void)i;
	return 0;
}

static uint64_t constant(uint64_t i)
{
	(void)i;
	return 10000;
}

static uint64_t rising(uint64_t i)
{
	return 10000 + i;
}

static uint64_t falling(uint64_t i)
{
	return 10000 - i;
}

TEST(deadlock_cost, a_look_walks_the_queue_at_most_a_few_times)
{
	unsigned int n = test_scale(THREADS);

	CHECK(look_of_last(n, zero, constant) <= 20 * n);
	CHECK(look_of_last(n, zero, rising) <= 20 * n);
	CHECK(look_of_last(n, zero, falling) <= 20 * n);
}

enum { REQUESTS = 10000, READERS = 20 };

static void release_at_once(int error, void *range)
{
	CHECK_EQ(error, 0);
	range_unlock(&lock, range);
}

/*
 * Starving requests on one key, which lie in one leaf or in all. They wait for readers, each of
 * which waits behind them: the look of a thread behind all of them goes through each reader's wait.
 */
static uint64_t look_through_requests(unsigned int n, uint64_t end)
{
	struct range_hold *requests = calloc(n, sizeof *requests);
	struct pretended *readers = calloc(READERS + 1, sizeof *readers);
	uint64_t steps;

	CHECK(requests && readers);
	init_lock(&lock, RANGE_FAIRNESS_FIFO, 8);
	CHECK(split_by_turns(&lock, 2000, 5000, 100000));
	for (unsigned int i = 0; i < READERS; i++)
		take_as(1000 + i, &readers[i].held, 9, 10, RANGE_READ);
	take_as(1000 + READERS, &readers[READERS].held, 200000, 200001, RANGE_WRITE);
	for (unsigned int i = 0; i < n; i++)
		CHECK_EQ(range_lock_async(&lock, &requests[i], 0, end, RANGE_WRITE, release_at_once,
					  &requests[i]),
			 EINPROGRESS);
	for (unsigned int i = 0; i <= READERS; i++)
		queue_as(&readers[i], 1000 + i, UINT64_MAX / 2 + i, 5, 6, false);
	range__deadlock_steps = 0;
	CHECK(range__deadlock_look(&readers[READERS].wait));
	steps = range__deadlock_steps;
	printf("%u requests: %" PRIu64 " looked at\n", n, steps);
	for (unsigned int i = 0; i < READERS; i++)
		CHECK_EQ(readers[i].wait.search, readers[0].wait.search);
	CHECK(readers[0].wait.search > 0);
	for (unsigned int i = 0; i <= READERS; i++) {
		CHECK_EQ(range_cancel(&lock, &readers[i].range), 0);
		range__deadlock_leave(&readers[i].wait, 0);
		range_unlock(&lock, &readers[i].held);
	}
	check_quiet_and_destroy(&lock);
	free(requests);
	free(readers);
	return steps;
}

TEST(deadlock_cost, a_look_goes_through_pending_requests_on_one_key_at_most_a_few_times)
{
	unsigned int n = test_scale(REQUESTS);

	CHECK(look_through_requests(n, 10) <= 5 * n + 20 * READERS * READERS);
	CHECK(look_through_requests(n, 100000) <= 5 * n + 20 * READERS * READERS);
}
