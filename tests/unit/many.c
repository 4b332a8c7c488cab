/* SPDX-License-Identifier: MIT */
/* Several ranges in one step. */
#include "actors.h"
#include "test.h"

#include <errno.h>

static struct range_request want(struct range_hold *range, uint64_t start, uint64_t end,
				 enum range_mode mode)
{
	return (struct range_request){ range, start, end, mode };
}

static void unlock_all(struct range_lock *lock, const struct range_request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++)
		range_unlock(lock, requests[i].range);
}

TEST(many, all_are_held_each_in_its_mode_and_nothing_between_them)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold r[3];
	struct range_request requests[3] = {
		want(&r[0], 50, 60, RANGE_WRITE),
		want(&r[1], 0, 10, RANGE_READ),
		want(&r[2], 10, 11, RANGE_WRITE),
	};

	CHECK_EQ(range_lock_many(&lock, requests, 3), 0);
	CHECK(requests[0].start == 0 && requests[1].start == 10 && requests[2].start == 50);
	CHECK(r[0].start == 50 && r[1].start == 0 && r[2].start == 10);
	CHECK(is_free(&lock, 0, 10, RANGE_READ) && !is_free(&lock, 9, 10, RANGE_WRITE));
	CHECK(!is_free(&lock, 10, 11, RANGE_READ) && is_free(&lock, 11, 50, RANGE_WRITE));
	CHECK(!is_free(&lock, 50, 51, RANGE_READ) && is_free(&lock, 60, 70, RANGE_WRITE));
	unlock_all(&lock, requests, 3);
	check_quiet_and_destroy(&lock);
}

TEST(many, requests_that_make_no_sense_hold_nothing)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold a, b;
	struct range_request one = want(&a, 0, 10, RANGE_READ);
	struct range_request bad[][2] = {
		{ one, want(&b, 9, 12, RANGE_READ) },
		{ want(&b, 5, 6, RANGE_WRITE), one },
		{ one, want(&b, 20, 20, RANGE_READ) },
		{ one, want(&b, 21, 20, RANGE_READ) },
		{ one, want(&b, 20, 21, (enum range_mode)7) },
	};

	CHECK_EQ(range_lock_many(&lock, &one, 0), EINVAL);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CHECK_EQ(range_lock_many(&lock, bad[i], 2), EINVAL);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
	}
	check_quiet_and_destroy(&lock);
}

struct job {
	struct range_lock *lock;
	atomic_bool done;
};

static void *lock_two(void *arg)
{
	struct job *job = arg;
	struct range_hold a, b;
	struct range_request requests[2] = {
		want(&a, 0, 10, RANGE_WRITE),
		want(&b, 20, 30, RANGE_READ),
	};

	CHECK_EQ(range_lock_many(job->lock, requests, 2), 0);
	CHECK(a.start == 0 && a.end == 10 && a.mode == RANGE_WRITE);
	CHECK(b.start == 20 && b.end == 30 && b.mode == RANGE_READ);
	atomic_store(&job->done, true);
	unlock_all(job->lock, requests, 2);
	return NULL;
}

static void await_waits(struct range_lock *lock, uint64_t waits)
{
	while (lock_stats(lock).waits < waits)
		sched_yield();
}

TEST(many, nothing_is_held_while_it_waits)
{
	for (size_t i = 0; i < 2; i++) {
		struct range_lock lock;
		struct job job = { .lock = &lock };
		struct range_hold high;
		pthread_t thread;

		init_lock(&lock, fairnesses[i], 16);
		take(&lock, &high, 25, 40, RANGE_WRITE);
		thread = thread_start(lock_two, &job);
		/* It has the first, not the second: so it waits for the second only. */
		await_waits(&lock, 1);
		CHECK(is_free(&lock, 0, 10, RANGE_WRITE));
		CHECK(!atomic_load(&job.done));
		range_unlock(&lock, &high);
		thread_join(thread);
		check_quiet_and_destroy(&lock);
	}
}

TEST(many, it_gets_them_in_the_end_though_one_is_always_taken)
{
	struct range_lock lock;
	struct job job = { .lock = &lock };
	struct range_hold ranges[2];
	pthread_t thread;
	unsigned int turn = 0;

	/* FIFO, so that the thread has had its turn when the range can be taken again. */
	init_lock(&lock, RANGE_FAIRNESS_FIFO, 16);
	take(&lock, &ranges[0], 5, 6, RANGE_WRITE);
	thread = thread_start(lock_two, &job);
	await_waits(&lock, 1);
	/* Each time it waits for one of the two, take the other one and let it go on. */
	for (; turn < 3; turn++) {
		unsigned int other = !(turn % 2);

		take(&lock, &ranges[other], other ? 25 : 5, other ? 26 : 6, RANGE_WRITE);
		range_unlock(&lock, &ranges[turn % 2]);
		await_waits(&lock, turn + 2);
		CHECK(!atomic_load(&job.done));
	}
	/* Its next wait is for both, and what lies between them: it was the fourth round. */
	take(&lock, &ranges[turn % 2 ? 0 : 1], turn % 2 ? 5 : 25, turn % 2 ? 6 : 26, RANGE_WRITE);
	range_unlock(&lock, &ranges[turn % 2]);
	await_waits(&lock, turn + 2);
	CHECK(!is_free(&lock, 15, 16, RANGE_READ));
	range_unlock(&lock, &ranges[turn % 2 ? 0 : 1]);
	thread_join(thread);
	check_quiet_and_destroy(&lock);
}

struct three {
	struct range_lock *lock;
	struct range_hold ranges[3];
	int result;
};

static void *lock_three(void *arg)
{
	struct three *three = arg;
	struct range_request requests[3] = {
		want(&three->ranges[0], 0, 10, RANGE_WRITE),
		want(&three->ranges[1], 20, 30, RANGE_WRITE),
		want(&three->ranges[2], 40, 50, RANGE_WRITE),
	};

	three->result = range_lock_many(three->lock, requests, 3);
	if (!three->result)
		unlock_all(three->lock, requests, 3);
	return NULL;
}

/* Also those that it had when it came to the one that is taken are free again. */
TEST(many, of_three_ranges_none_is_held_while_it_waits_for_any)
{
	for (uint64_t taken = 0; taken < 3; taken++) {
		struct range_lock lock;
		struct three three = { .lock = &lock };
		struct range_lock_attr attr;
		struct range_hold held;
		pthread_t thread;

		/* A waiter that became starving would keep newcomers out. */
		range_lock_attr_init(&attr);
		attr.starvation_ns = UINT64_MAX;
		CHECK_EQ(range_lock_init(&lock, &attr), 0);
		take(&lock, &held, 20 * taken + 5, 20 * taken + 6, RANGE_READ);
		thread = thread_start(lock_three, &three);
		await_waits(&lock, 1);
		for (uint64_t i = 0; i < 3; i++)
			CHECK(is_free(&lock, 20 * i, 20 * i + 5, RANGE_WRITE));
		CHECK(is_free(&lock, 10, 20, RANGE_WRITE) && is_free(&lock, 30, 40, RANGE_WRITE));
		range_unlock(&lock, &held);
		thread_join(thread);
		CHECK_EQ(three.result, 0);
		check_quiet_and_destroy(&lock);
	}
}
