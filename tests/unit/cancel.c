/* SPDX-License-Identifier: MIT */
/* A thread ends the wait of another thread. */
#include "actors.h"
#include "dummy_waiter.h"

#include "range_lock/forest.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

TEST(cancel, a_waiter_that_is_canceled_holds_nothing)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_hold held;
		struct actor waiter;

		init_lock(&lock, fairnesses[fair], 8);
		take(&lock, &held, 0, 10, RANGE_WRITE);
		actor_queue(&waiter, &lock, 5, 20, RANGE_WRITE);
		CHECK_EQ(range_cancel(&lock, &waiter.range), 0);
		CHECK_EQ(range_cancel(&lock, &waiter.range), ESRCH);
		CHECK_EQ(actor_finish(&waiter), ECANCELED);
		check_valid(&lock);
		CHECK(is_free(&lock, 10, 20, RANGE_WRITE));
		CHECK(!is_free(&lock, 9, 10, RANGE_READ));
		range_unlock(&lock, &held);
		check_quiet_and_destroy(&lock);
	}
}

TEST(cancel, a_timed_wait_ends_before_its_deadline)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held;
	struct actor waiter;

	take(&lock, &held, 0, 10, RANGE_READ);
	actor_queue_timed(&waiter, &lock, 0, 10, RANGE_WRITE, 3600 * SECOND);
	CHECK_EQ(range_cancel(&lock, &waiter.range), 0);
	CHECK_EQ(actor_finish(&waiter), ECANCELED);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
}

TEST(cancel, cancel_does_not_find_or_read_a_range_that_does_not_wait)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER, other = RANGE_LOCK_INITIALIZER;
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct range_hold held;
	struct actor waiter;

	CHECK(nowhere != MAP_FAILED);
	CHECK_EQ(range_cancel(&lock, nowhere), ESRCH);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	CHECK_EQ(range_cancel(&lock, &held), ESRCH);
	actor_queue(&waiter, &lock, 0, 10, RANGE_READ);
	CHECK_EQ(range_cancel(&lock, nowhere), ESRCH);
	CHECK_EQ(range_cancel(&lock, &held), ESRCH);
	CHECK_EQ(range_cancel(&other, &waiter.range), ESRCH);
	range_unlock(&lock, &held);
	actor_await(&waiter);
	CHECK_EQ(range_cancel(&lock, &waiter.range), ESRCH);
	CHECK_EQ(actor_finish(&waiter), 0);
	CHECK_EQ(range_cancel(&lock, &waiter.range), ESRCH);
	CHECK_EQ(munmap(nowhere, 4096), 0);
	check_quiet_and_destroy(&lock);
	check_quiet_and_destroy(&other);
}

/* Waiters behind the canceled one wait only for it, and go on once range_cancel() returns. */
TEST(cancel, waiters_behind_a_canceled_one_go_on)
{
	static const enum range_mode modes[] = { RANGE_READ, RANGE_WRITE };

	for (int i = 0; i < 2; i++) {
		struct range_lock lock;
		struct range_hold held;
		struct actor canceled, behind;

		init_lock(&lock, RANGE_FAIRNESS_FIFO, 8);
		take(&lock, &held, 0, 10, RANGE_READ);
		actor_queue(&canceled, &lock, 5, 20, RANGE_WRITE);
		actor_queue(&behind, &lock, i ? 10 : 5, 30, modes[i]);
		CHECK(!is_free(&lock, 10, 20, RANGE_READ));
		CHECK_EQ(range_cancel(&lock, &canceled.range), 0);
		check_valid(&lock);
		actor_await(&behind);
		CHECK_EQ(actor_finish(&behind), 0);
		CHECK(is_free(&lock, 5, 20, RANGE_READ));
		CHECK_EQ(actor_finish(&canceled), ECANCELED);
		range_unlock(&lock, &held);
		check_quiet_and_destroy(&lock);
	}
}

static uint64_t state_of(struct range_hold *range)
{
	return atomic_load(&range__hold(range)->state);
}

TEST(cancel, a_woken_waiter_can_be_canceled_until_it_holds)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held, woken, behind;
	struct range__set sets[2];

	take(&lock, &held, 0, 10, RANGE_WRITE);
	queue_dummy_waiter(&lock, &woken, &sets[0], 0, 10, 1);
	queue_dummy_waiter(&lock, &behind, &sets[1], 9, 10, 2);
	range_unlock(&lock, &held);
	CHECK_EQ(state_of(&woken), RANGE_WOKEN);
	CHECK_EQ(state_of(&behind), RANGE_WAITING);
	CHECK_EQ(range_cancel(&lock, &woken), 0);
	CHECK_EQ(state_of(&woken), RANGE_CANCELED);
	/* The canceled waiter was its only cause to wait. */
	CHECK_EQ(state_of(&behind), RANGE_WOKEN);
	check_valid(&lock);
	CHECK_EQ(range_cancel(&lock, &behind), 0);
	check_quiet_and_destroy(&lock);
}

TEST(cancel, cancel_finds_a_waiter_wherever_splits_and_merges_have_moved_it)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held[3];
	struct actor waiters[3];
	static const uint64_t at[3] = { 0, 50000, 1000000 };

	for (int i = 0; i < 3; i++) {
		take(&lock, &held[i], at[i], at[i] + 10, RANGE_WRITE);
		actor_queue(&waiters[i], &lock, at[i], at[i] + 10, RANGE_WRITE);
	}
	CHECK(split_by_turns(&lock, 100, 40000, 100000));
	CHECK(split_by_turns(&lock, 60000, 900000, 100000));
	CHECK(lock_stats(&lock).leaves >= 3);
	for (int i = 2; i >= 0; i--) {
		CHECK_EQ(range_cancel(&lock, &waiters[i].range), 0);
		CHECK_EQ(actor_finish(&waiters[i]), ECANCELED);
		check_valid(&lock);
		range_unlock(&lock, &held[i]);
	}
	check_quiet_and_destroy(&lock);
}

struct job {
	struct range_lock *lock;
	struct range_hold range[2];
	int result;
};

static void *lock_both(void *arg)
{
	struct job *job = arg;
	struct range_request requests[2] = {
		{ &job->range[0], 0, 10, RANGE_WRITE },
		{ &job->range[1], 20, 30, RANGE_WRITE },
	};

	job->result = range_lock_many(job->lock, requests, 2);
	return NULL;
}

/* Canceling any range of the set ends the call. It holds none meanwhile or afterwards. */
TEST(cancel, range_lock_many_ends_when_any_of_its_ranges_is_canceled)
{
	for (int i = 0; i < 4; i++) {
		int taken = i % 2, named = i / 2;
		struct range_lock lock = RANGE_LOCK_INITIALIZER;
		struct job job = { .lock = &lock, .result = -1 };
		struct range_hold held;
		pthread_t thread;

		take(&lock, &held, taken ? 25 : 5, taken ? 26 : 6, RANGE_READ);
		thread = thread_start(lock_both, &job);
		AWAIT(lock_stats(&lock).waits == 1);
		CHECK_EQ(range_cancel(&lock, &job.range[named]), 0);
		CHECK_EQ(range_cancel(&lock, &job.range[!named]), ESRCH);
		thread_join(thread);
		CHECK_EQ(job.result, ECANCELED);
		range_unlock(&lock, &held);
		CHECK_EQ(lock_stats(&lock).waits, 1);
		check_quiet_and_destroy(&lock);
	}
}
