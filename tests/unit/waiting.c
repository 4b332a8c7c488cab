/* SPDX-License-Identifier: MIT */
/* Which ranges a waiter waits for, until when, and what it leaves behind. */
#include "actors.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

TEST(waiting, a_timed_wait_ends_at_its_deadline_and_not_before)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC };

	for (int i = 0; i < 4; i++) {
		clockid_t clock = clocks[i % 2];
		struct range_lock lock;
		struct actor holder;
		struct timespec deadline, now;
		struct range_hold range;

		init_lock(&lock, fairnesses[i / 2], 4);
		actor_start(&holder, &lock, FULL, RANGE_READ);
		actor_await(&holder);
		deadline = time_after(clock, SECOND / 50);
		CHECK_EQ(range_timedlock(&lock, &range, 5, 6, RANGE_WRITE, clock, &deadline),
			 ETIMEDOUT);
		now = time_after(clock, 0);
		CHECK(now.tv_sec > deadline.tv_sec ||
		      (now.tv_sec == deadline.tv_sec && now.tv_nsec >= deadline.tv_nsec));
		CHECK_EQ(lock_stats(&lock).waits, 1);
		CHECK_EQ(actor_finish(&holder), 0);
		check_quiet_and_destroy(&lock);
	}
}

static void *timedlock_without_deadline(void *arg)
{
	struct actor *actor = arg;

	actor->result = range_timedlock(actor->lock, &actor->range, 0, 10, RANGE_WRITE,
					CLOCK_REALTIME, NULL);
	range_unlock(actor->lock, &actor->range);
	return NULL;
}

TEST(waiting, without_a_deadline_a_timed_wait_ends_with_the_range)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct actor waiter = { .lock = &lock, .result = -1 };
	struct range_hold held;

	take(&lock, &held, 5, 6, RANGE_READ);
	waiter.thread = thread_start(timedlock_without_deadline, &waiter);
	AWAIT(lock_stats(&lock).waits == 1);
	range_unlock(&lock, &held);
	thread_join(waiter.thread);
	CHECK_EQ(waiter.result, 0);
	check_quiet_and_destroy(&lock);
}

TEST(waiting, a_release_grants_exactly_the_waiters_that_it_frees)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_hold low, high;
		struct actor first, second, across;

		init_lock(&lock, fairnesses[fair], 8);
		take(&lock, &low, 0, 10, RANGE_WRITE);
		take(&lock, &high, 10, 20, RANGE_WRITE);
		actor_queue(&first, &lock, 0, 5, RANGE_READ);
		actor_queue(&second, &lock, 0, 3, RANGE_READ);
		actor_queue(&across, &lock, 5, 15, RANGE_WRITE);
		check_valid(&lock);
		range_unlock(&lock, &low);
		actor_await(&first);
		actor_await(&second);
		check_valid(&lock);
		CHECK(!actor_holds(&across));
		CHECK_EQ(actor_finish(&first), 0);
		CHECK(!actor_holds(&across));
		range_unlock(&lock, &high);
		actor_await(&across);
		CHECK_EQ(actor_finish(&second), 0);
		CHECK_EQ(actor_finish(&across), 0);
		CHECK_EQ(lock_stats(&lock).waits, 3);
		check_quiet_and_destroy(&lock);
	}
}

/* Pitfall 6. */
TEST(waiting, a_waiter_that_gave_up_leaves_no_trace)
{
	unsigned int rounds = test_scale(50);

	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_hold range;
		struct actor holder;

		init_lock(&lock, fairnesses[fair], 8);
		for (unsigned int i = 0; i < rounds; i++) {
			enum range_mode mode = i % 2 ? RANGE_READ : RANGE_WRITE;
			struct timespec deadline = time_after(CLOCK_MONOTONIC, i % 5 * 20000);

			actor_start(&holder, &lock, 10, 20, i % 3 ? RANGE_WRITE : RANGE_READ);
			actor_await(&holder);
			CHECK_EQ(range_timedlock(&lock, &range, 0, 30, RANGE_WRITE, CLOCK_MONOTONIC,
						 &deadline),
				 ETIMEDOUT);
			memset(&range, 0xff, sizeof range);
			check_valid(&lock);
			/*
			 * Not granted too early: the holder still counts. Nor too late: the waiter
			 * no longer counts.
			 */
			CHECK(!is_free(&lock, 19, 20, RANGE_WRITE));
			CHECK_EQ(is_free(&lock, 10, 20, RANGE_READ), holder.mode == RANGE_READ);
			CHECK(is_free(&lock, 0, 10, RANGE_WRITE));
			CHECK(is_free(&lock, 20, 30, mode));
			CHECK_EQ(actor_finish(&holder), 0);
			CHECK(is_free(&lock, 0, 30, RANGE_WRITE));
		}
		check_quiet_and_destroy(&lock);
	}
}

/*
 * A holds [0, 10) for reading. B waits for a range that conflicts, and gives up after ns
 * nanoseconds. C waits only for B. False if B gave up before C came.
 */
static bool quit_before_another(enum range_mode mode, uint64_t ns)
{
	struct range_lock lock;
	struct range_hold held;
	struct actor quitter, behind;
	bool queued;

	init_lock(&lock, RANGE_FAIRNESS_FIFO, 8);
	take(&lock, &held, 0, 10, RANGE_READ);
	actor_queue_timed(&quitter, &lock, 5, 20, RANGE_WRITE, ns);
	/* C is a reader that overlaps the holder, or a writer beyond the holder. */
	queued = actor_queues(&behind, &lock, mode == RANGE_READ ? 5 : 10, 30, mode);
	check_valid(&lock);
	actor_await(&behind);
	CHECK_EQ(actor_finish(&quitter), ETIMEDOUT);
	check_valid(&lock);
	CHECK_EQ(actor_finish(&behind), 0);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
	return queued;
}

/* The same with barging: threads behind a waiter wait for it only once it is starving. */
static bool quit_starving(enum range_mode mode, uint64_t ns)
{
	struct range_lock lock;
	struct range_lock_attr attr;
	struct range_hold held;
	struct actor quitter, behind;
	bool queued;

	range_lock_attr_init(&attr);
	attr.starvation_ns = 1;
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	take(&lock, &held, 0, 10, RANGE_READ);
	actor_queue_timed(&quitter, &lock, 0, 20, RANGE_WRITE, ns);
	/* Each release that overlaps the waiter may make it starving. */
	while (is_free(&lock, 10, 20, RANGE_READ) && atomic_load(&quitter.state) == ACTOR_WAITS)
		;
	queued = actor_queues(&behind, &lock, mode == RANGE_READ ? 0 : 10, 20, mode);
	check_valid(&lock);
	actor_await(&behind);
	CHECK_EQ(actor_finish(&quitter), ETIMEDOUT);
	CHECK_EQ(actor_finish(&behind), 0);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
	return queued;
}

/* On a busy machine B needs a longer timeout, so that C queues behind it in time. */
static void check_quitting(bool (*quit)(enum range_mode mode, uint64_t ns), enum range_mode mode)
{
	uint64_t ns = SECOND / 100;

	while (!quit(mode, ns)) {
		ns *= 2;
		CHECK(ns < 10 * SECOND);
	}
}

/* Pitfall 6, with a waiter behind. */
TEST(waiting, a_waiter_that_gives_up_frees_the_waiters_behind_it)
{
	check_quitting(quit_before_another, RANGE_READ);
	check_quitting(quit_before_another, RANGE_WRITE);
}

TEST(waiting, a_starving_waiter_that_gives_up_frees_the_waiters_behind_it)
{
	check_quitting(quit_starving, RANGE_READ);
	check_quitting(quit_starving, RANGE_WRITE);
}

/* Pitfall 8. */
TEST(waiting, a_disjoint_request_passes_a_blocked_waiter)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_hold held, range, reader;
		struct actor blocked, behind;

		init_lock(&lock, fairnesses[fair], 8);
		take(&lock, &held, 10, 20, RANGE_WRITE);
		actor_queue(&blocked, &lock, 15, 30, RANGE_READ);
		actor_queue(&behind, &lock, 19, 20, RANGE_WRITE);
		/* Blocking calls: if they wait, the test hangs here. */
		CHECK_EQ(range_lock(&lock, &range, 30, 40, RANGE_WRITE), 0);
		range_unlock(&lock, &range);
		CHECK_EQ(range_lock(&lock, &range, 0, 10, RANGE_WRITE), 0);
		/* Readers that overlap a waiting reader conflict with no range. */
		CHECK_EQ(range_lock(&lock, &reader, 20, 25, RANGE_READ), 0);
		check_valid(&lock);
		range_unlock(&lock, &held);
		actor_await(&blocked);
		CHECK_EQ(actor_finish(&blocked), 0);
		actor_await(&behind);
		CHECK_EQ(actor_finish(&behind), 0);
		range_unlock(&lock, &range);
		range_unlock(&lock, &reader);
		check_quiet_and_destroy(&lock);
	}
}

TEST(waiting, only_fifo_waiters_hold_newcomers_back)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_lock_attr attr;
		struct range_hold held;
		struct actor waiter;

		range_lock_attr_init(&attr);
		attr.fairness = fairnesses[fair];
		attr.starvation_ns = UINT64_MAX;
		CHECK_EQ(range_lock_init(&lock, &attr), 0);
		take(&lock, &held, 0, 10, RANGE_READ);
		actor_queue(&waiter, &lock, 5, 20, RANGE_WRITE);
		CHECK_EQ(is_free(&lock, 10, 20, RANGE_WRITE), !fair);
		CHECK_EQ(is_free(&lock, 0, 10, RANGE_READ), !fair);
		CHECK(is_free(&lock, 0, 5, RANGE_READ));
		CHECK(is_free(&lock, 20, 21, RANGE_WRITE));
		range_unlock(&lock, &held);
		CHECK_EQ(actor_finish(&waiter), 0);
		check_quiet_and_destroy(&lock);
	}
}

static void on_signal(int sig)
{
	(void)sig;
}

TEST(waiting, signals_and_cancellation_do_not_end_a_wait)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct sigaction action = { .sa_handler = on_signal };
	struct range_hold held;
	struct actor interrupted, cancelled;

	sigemptyset(&action.sa_mask);
	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	actor_queue(&interrupted, &lock, 0, 1, RANGE_WRITE);
	actor_queue(&cancelled, &lock, 1, 2, RANGE_WRITE);
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(pthread_kill(interrupted.thread, SIGUSR1), 0);
		sched_yield();
	}
	CHECK_EQ(pthread_cancel(cancelled.thread), 0);
	CHECK(!actor_holds(&interrupted) && !actor_holds(&cancelled));
	CHECK_EQ(lock_stats(&lock).waits, 2);
	check_valid(&lock);
	range_unlock(&lock, &held);
	/*
	 * The lock acquires as usual; the cancellation acts when the thread waits for its
	 * semaphore.
	 */
	actor_await(&interrupted);
	actor_await(&cancelled);
	CHECK_EQ(actor_finish(&interrupted), 0);
	thread_join(cancelled.thread);
	CHECK(!is_free(&lock, 1, 2, RANGE_READ));
	range_unlock(&lock, &cancelled.range);
	sem_destroy(&cancelled.release);
	check_quiet_and_destroy(&lock);
}

TEST(waiting, waits_counts_the_acquisitions_that_queued)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct actor waiters[5];
	struct range_hold held;

	take(&lock, &held, 0, 10, RANGE_WRITE);
	CHECK(!is_free(&lock, 0, 1, RANGE_READ));
	CHECK_EQ(lock_stats(&lock).waits, 0);
	for (int i = 0; i < 5; i++) {
		actor_queue(&waiters[i], &lock, (uint64_t)i, 8, RANGE_WRITE);
		CHECK_EQ(lock_stats(&lock).waits, i + 1);
	}
	range_unlock(&lock, &held);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(actor_finish(&waiters[i]), 0);
	CHECK_EQ(lock_stats(&lock).waits, 5);
	/* Splits and merges lose no wake-up. */
	CHECK(split_by_turns(&lock, 20, 30, 100000));
	CHECK_EQ(lock_stats(&lock).waits, 5);
	CHECK(is_free(&lock, FULL, RANGE_WRITE));
	CHECK_EQ(lock_stats(&lock).waits, 5);
	check_quiet_and_destroy(&lock);
}
