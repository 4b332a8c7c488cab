/* SPDX-License-Identifier: MIT */
/* A closed lock: all waits end, and later acquisitions fail. */
#include "actors.h"

#include <errno.h>

/* No call acquires a range of a closed lock to see that it is free. */
static void check_and_destroy(struct range_lock *lock)
{
	check_valid(lock);
	CHECK_EQ(range_lock_destroy(lock), 0);
}

static void begin(struct range_lock *lock, int how)
{
	init_lock(lock, fairnesses[how % 2], 64);
	if (how >= 2)
		make_leaves(lock, 4);
}

TEST(close, all_waiters_in_all_leaves_return_ecanceled)
{
	for (int how = 0; how < 4; how++) {
		enum { WAITERS = 6 };
		static const uint64_t ends[WAITERS][2] = {
			{ 0, 5 }, { 3, 45 }, { 12, 13 }, { 35, 38 }, { 15, 35 }, { 0, UINT64_MAX }
		};
		struct range_lock lock;
		struct range_hold held;
		struct actor waiters[WAITERS];

		begin(&lock, how);
		take(&lock, &held, 0, 50, RANGE_WRITE);
		for (int i = 0; i < WAITERS; i++)
			actor_queue(&waiters[i], &lock, ends[i][0], ends[i][1],
				    i % 2 ? RANGE_WRITE : RANGE_READ);
		range_lock_close(&lock);
		for (int i = 0; i < WAITERS; i++)
			CHECK_EQ(actor_finish(&waiters[i]), ECANCELED);
		check_valid(&lock);
		CHECK_EQ(range_lock_destroy(&lock), EBUSY);
		range_unlock(&lock, &held);
		check_and_destroy(&lock);
	}
}

static void *wait_for_two(void *arg)
{
	struct range_lock *lock = arg;
	struct range_hold one, two;
	struct range_request requests[2] = { { &one, 5, 6, RANGE_WRITE },
					     { &two, 35, 36, RANGE_WRITE } };

	CHECK_EQ(range_lock_many(lock, requests, 2), ECANCELED);
	return NULL;
}

TEST(close, a_wait_for_several_ranges_ends)
{
	for (int how = 0; how < 4; how++) {
		struct range_lock lock;
		struct range_hold held;
		pthread_t thread;

		begin(&lock, how);
		take(&lock, &held, 35, 36, RANGE_READ);
		thread = thread_start(wait_for_two, &lock);
		AWAIT(lock_stats(&lock).waits == 1);
		range_lock_close(&lock);
		thread_join(thread);
		range_unlock(&lock, &held);
		check_and_destroy(&lock);
	}
}

static void must_not_come(int error, void *arg)
{
	(void)error, (void)arg;
	test_fail(__FILE__, __LINE__, "called");
}

static void count_canceled(int error, void *arg)
{
	CHECK_EQ(error, ECANCELED);
	++*(unsigned int *)arg;
}

TEST(close, requests_end_with_ecanceled)
{
	for (int how = 0; how < 4; how++) {
		struct range_lock lock;
		struct range_hold held, ranges[100];
		unsigned int canceled = 0;

		begin(&lock, how);
		take(&lock, &held, 0, 200, RANGE_WRITE);
		for (unsigned int i = 0; i < 100; i++)
			CHECK_EQ(range_lock_async(&lock, &ranges[i], i, i + 1 + i % 40, RANGE_WRITE,
						  count_canceled, &canceled),
				 EINPROGRESS);
		range_lock_close(&lock);
		CHECK_EQ(canceled, 100);
		range_unlock(&lock, &held);
		check_and_destroy(&lock);
	}
}

/*
 * For each waiter that ends, the library must not look at all others: that would take minutes, and
 * the watchdog ends the test.
 */
TEST(close, n_waiters_end_in_n_log_n)
{
	enum { MANY = 30000 };
	static struct range_hold ranges[MANY];

	for (int how = 0; how < 4; how++) {
		struct range_lock lock;
		struct range_hold held;
		unsigned int canceled = 0;

		init_lock(&lock, fairnesses[how % 2], 1);
		take(&lock, &held, 0, 10, RANGE_WRITE);
		for (unsigned int i = 0; i < MANY; i++)
			CHECK_EQ(range_lock_async(&lock, &ranges[i], 0, 100,
						  how < 2 ? RANGE_READ : RANGE_WRITE,
						  count_canceled, &canceled),
				 EINPROGRESS);
		range_lock_close(&lock);
		CHECK_EQ(canceled, MANY);
		range_unlock(&lock, &held);
		check_and_destroy(&lock);
	}
}

/* Held ranges work on as before. */
TEST(close, later_acquisitions_get_eshutdown_and_change_nothing)
{
	for (int how = 0; how < 4; how++) {
		struct range_lock lock;
		struct range_hold held, reader, range, upper;
		struct range_request request = { &range, 60, 70, RANGE_READ };
		const struct timespec past = { .tv_sec = 0 };

		begin(&lock, how);
		take(&lock, &held, 0, 30, RANGE_WRITE);
		take(&lock, &reader, 40, 50, RANGE_READ);
		range_lock_close(&lock);
		range_lock_close(&lock);
		CHECK_EQ(range_lock(&lock, &range, 60, 70, RANGE_WRITE), ESHUTDOWN);
		CHECK_EQ(range_lock(&lock, &range, 70, 60, RANGE_WRITE), EINVAL);
		CHECK_EQ(range_trylock(&lock, &range, 60, 70, RANGE_READ), ESHUTDOWN);
		CHECK_EQ(range_timedlock(&lock, &range, 60, 70, RANGE_READ, CLOCK_MONOTONIC, &past),
			 ESHUTDOWN);
		CHECK_EQ(range_lock_many(&lock, &request, 1), ESHUTDOWN);
		CHECK_EQ(range_trylock_many(&lock, &request, 1), ESHUTDOWN);
		CHECK_EQ(range_timedlock_many(&lock, &request, 1, CLOCK_MONOTONIC, &past),
			 ESHUTDOWN);
		CHECK_EQ(range_lock_async(&lock, &range, 60, 70, RANGE_READ, must_not_come, NULL),
			 ESHUTDOWN);
		CHECK_EQ(range_lock_many_async(&lock, &request, 1, must_not_come, NULL), ESHUTDOWN);
		CHECK_EQ(range_tryextend(&lock, &held, 0, 35), ESHUTDOWN);
		CHECK_EQ(held.end, 30);
		CHECK_EQ(range_upgrade(&lock, &reader), 0);
		CHECK_EQ(range_split(&lock, &held, 10, &upper), 0);
		CHECK_EQ(range_shrink(&lock, &upper, 12, 20), 0);
		range_downgrade(&lock, &held);
		check_valid(&lock);
		range_unlock(&lock, &held);
		range_unlock(&lock, &upper);
		range_unlock(&lock, &reader);
		check_and_destroy(&lock);
	}
}

TEST(close, an_upgrade_that_would_wait_gets_eshutdown)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold one, two;

	take(&lock, &one, 0, 10, RANGE_READ);
	take(&lock, &two, 5, 20, RANGE_READ);
	range_lock_close(&lock);
	CHECK_EQ(range_upgrade(&lock, &one), ESHUTDOWN);
	range_unlock(&lock, &two);
	CHECK_EQ(range_upgrade(&lock, &one), 0);
	range_unlock(&lock, &one);
	check_and_destroy(&lock);
}

TEST(close, a_published_reader_of_a_closed_lock_releases_its_range)
{
	struct range_lock lock;
	struct range_hold reader;

	begin(&lock, 2);
	make_biased(&lock, 10);
	take_published(&lock, &reader, 12, 13);
	range_lock_close(&lock);
	CHECK_EQ(range_lock_destroy(&lock), EBUSY);
	range_unlock(&lock, &reader);
	check_and_destroy(&lock);
}

TEST(close, a_lock_that_is_initialised_again_is_open)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold range;

	range_lock_close(&lock);
	CHECK_EQ(range_lock(&lock, &range, 0, 1, RANGE_READ), ESHUTDOWN);
	check_and_destroy(&lock);
	CHECK_EQ(range_lock_init(&lock, NULL), 0);
	take(&lock, &range, 0, 1, RANGE_READ);
	range_unlock(&lock, &range);
	check_and_destroy(&lock);
}

enum { CROWD = 4 };

struct crowd {
	struct range_lock lock;
	atomic_uint rounds;
	uint64_t seed;
};

/* Acquires ranges until the lock is closed. */
static void *crowd_run(void *arg)
{
	struct crowd *crowd = arg;
	uint64_t random = crowd->seed + atomic_fetch_add(&crowd->rounds, 1);
	int error = 0;

	while (!error) {
		uint64_t start = test_random_below(&random, 50);
		uint64_t end = start + 1 + test_random_below(&random, 30);
		struct range_hold range;

		error = range_lock(&crowd->lock, &range, start, end,
				   test_random_below(&random, 2) ? RANGE_READ : RANGE_WRITE);
		if (error)
			break;
		atomic_fetch_add(&crowd->rounds, 1);
		if (test_random_below(&random, 4) == 0)
			sched_yield();
		range_unlock(&crowd->lock, &range);
	}
	CHECK(error == ECANCELED || error == ESHUTDOWN);
	return NULL;
}

TEST(close, a_crowd_that_acquires_all_the_time_leaves_whenever_the_lock_is_closed)
{
	uint64_t seed = test_seed("close/a_crowd");

	for (unsigned int i = 0; i < test_scale(200); i++) {
		struct crowd crowd = { .seed = seed + i * 1000 };
		pthread_t threads[CROWD];

		begin(&crowd.lock, (int)(i % 4));
		for (int t = 0; t < CROWD; t++)
			threads[t] = thread_start(crowd_run, &crowd);
		AWAIT(atomic_load(&crowd.rounds) >= CROWD + i % 64);
		range_lock_close(&crowd.lock);
		for (int t = 0; t < CROWD; t++)
			thread_join(threads[t]);
		check_and_destroy(&crowd.lock);
	}
}
