/* SPDX-License-Identifier: MIT */
/*
 * Misuse that the checked build detects. It ends the process with a message, so each kind happens
 * in a child process.
 */
#include "actors.h"
#include "child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static bool skipped(void)
{
	if (!checked_build)
		puts("skipped: this is not a checked build (MMRANGE_CHECKED)");
	return !checked_build;
}

static struct range_lock lock = RANGE_LOCK_INITIALIZER;
static struct range_lock other_lock = RANGE_LOCK_INITIALIZER;
static struct range_hold range, held;
static struct actor actor;

static void check_stops(void (*misuse)(void), const char *message)
{
	char errors[4096];
	int status = run_in_child(misuse, errors, sizeof errors);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
	    !strstr(errors, "libmmrange: ") || !strstr(errors, message))
		test_fail(__FILE__, __LINE__, "no abort with \"%s\", but status %#x and: %s",
			  message, (unsigned int)status, errors);
}

static void unlock_what_never_was_locked(void)
{
	memset(&range, 0xa5, sizeof range);
	range_unlock(&lock, &range);
}

static void unlock_twice(void)
{
	take(&lock, &range, 0, 1, RANGE_WRITE);
	range_unlock(&lock, &range);
	range_unlock(&lock, &range);
}

static void unlock_twice_beside_others(void)
{
	take(&lock, &held, 0, 10, RANGE_READ);
	take(&lock, &range, 0, 1, RANGE_READ);
	range_unlock(&lock, &range);
	range_unlock(&lock, &range);
}

static void unlock_after_a_failed_try(void)
{
	take(&lock, &held, 0, 1, RANGE_WRITE);
	CHECK_EQ(range_trylock(&lock, &range, 0, 1, RANGE_WRITE), EBUSY);
	range_unlock(&lock, &range);
}

static void unlock_after_a_timeout(void)
{
	actor_start(&actor, &lock, 0, 1, RANGE_WRITE);
	actor_await(&actor);
	CHECK_EQ(acquire_somehow(2, &lock, &range, 0, 1, RANGE_WRITE), ETIMEDOUT);
	range_unlock(&lock, &range);
}

static void unlock_a_copy(void)
{
	take(&lock, &held, 0, 1, RANGE_WRITE);
	memcpy(&range, &held, sizeof range);
	range_unlock(&lock, &range);
}

static void shrink_what_is_not_held(void)
{
	take(&lock, &range, 0, 10, RANGE_WRITE);
	range_unlock(&lock, &range);
	(void)!range_shrink(&lock, &range, 0, 5);
}

static void downgrade_what_is_not_held(void)
{
	take(&lock, &range, 0, 10, RANGE_READ);
	range_unlock(&lock, &range);
	range_downgrade(&lock, &range);
}

TEST(checked, unlock_of_a_range_that_is_not_held_stops)
{
	if (skipped())
		return;
	check_stops(shrink_what_is_not_held, "not held");
	check_stops(downgrade_what_is_not_held, "not held");
	check_stops(unlock_what_never_was_locked, "not held");
	check_stops(unlock_twice, "not held");
	check_stops(unlock_twice_beside_others, "not held");
	check_stops(unlock_after_a_failed_try, "not held");
	check_stops(unlock_after_a_timeout, "not held");
	check_stops(unlock_a_copy, "not held");
}

/* The thread is canceled at its next cancellation point, and printing the message is none. */
static void *unlock_in_a_canceled_thread(void *arg)
{
	pthread_cancel(pthread_self());
	unlock_what_never_was_locked();
	return arg;
}

static void unlock_with_a_cancellation_pending(void)
{
	thread_join(thread_start(unlock_in_a_canceled_thread, NULL));
}

TEST(checked, a_message_is_no_cancellation_point)
{
	if (!skipped())
		check_stops(unlock_with_a_cancellation_pending, "not held");
}

static void unlock_while_it_waits(void)
{
	take(&lock, &held, 0, 1, RANGE_WRITE);
	actor_queue(&actor, &lock, 0, 1, RANGE_WRITE);
	range_unlock(&lock, &actor.range);
}

TEST(checked, unlock_of_a_range_that_still_waits_stops)
{
	if (!skipped())
		check_stops(unlock_while_it_waits, "waits");
}

static void unlock_in_another_lock(void)
{
	take(&lock, &range, 0, 1, RANGE_WRITE);
	take(&other_lock, &held, 0, 1, RANGE_WRITE);
	range_unlock(&other_lock, &range);
}

TEST(checked, unlock_in_another_lock_stops)
{
	if (!skipped())
		check_stops(unlock_in_another_lock, "another lock");
}

static void lock_while_held(void)
{
	take(&lock, &range, 0, 1, RANGE_READ);
	acquire_somehow(0, &lock, &range, 5, 6, RANGE_READ);
}

static void try_while_held_in_another_lock(void)
{
	take(&lock, &range, 0, 1, RANGE_READ);
	acquire_somehow(1, &other_lock, &range, 0, 1, RANGE_READ);
}

static void timedlock_while_it_waits(void)
{
	take(&lock, &held, 0, 1, RANGE_WRITE);
	actor_queue(&actor, &lock, 0, 1, RANGE_WRITE);
	acquire_somehow(2, &lock, &actor.range, 5, 6, RANGE_WRITE);
}

TEST(checked, locking_with_a_range_in_use_stops)
{
	if (skipped())
		return;
	check_stops(lock_while_held, "in use");
	check_stops(try_while_held_in_another_lock, "in use");
	check_stops(timedlock_while_it_waits, "in use");
}

static void lock_after_destroy(void)
{
	check_quiet_and_destroy(&lock);
	acquire_somehow(0, &lock, &range, 0, 1, RANGE_READ);
}

static void try_after_destroy(void)
{
	check_quiet_and_destroy(&lock);
	acquire_somehow(1, &lock, &range, 0, 1, RANGE_READ);
}

static void timedlock_after_destroy(void)
{
	check_quiet_and_destroy(&lock);
	acquire_somehow(2, &lock, &range, 0, 1, RANGE_READ);
}

static void unlock_after_destroy(void)
{
	take(&other_lock, &range, 0, 1, RANGE_READ);
	check_quiet_and_destroy(&lock);
	range_unlock(&lock, &range);
}

static void stats_after_destroy(void)
{
	check_quiet_and_destroy(&lock);
	lock_stats(&lock);
}

static void destroy_twice(void)
{
	/* Also with memory to free. */
	CHECK(split_by_turns(&lock, 0, 1, 100000));
	check_quiet_and_destroy(&lock);
	range_lock_destroy(&lock);
}

/* Another lock holds the range, so that the range's state is no reason to stop. */
static void shrink_after_destroy(void)
{
	take(&other_lock, &range, 0, 10, RANGE_WRITE);
	range_lock_destroy(&lock);
	(void)!range_shrink(&lock, &range, 0, 5);
}

static void downgrade_after_destroy(void)
{
	take(&other_lock, &range, 0, 10, RANGE_WRITE);
	range_lock_destroy(&lock);
	range_downgrade(&lock, &range);
}

TEST(checked, use_of_a_destroyed_lock_stops)
{
	if (skipped())
		return;
	check_stops(shrink_after_destroy, "destroyed");
	check_stops(downgrade_after_destroy, "destroyed");
	check_stops(lock_after_destroy, "destroyed");
	check_stops(try_after_destroy, "destroyed");
	check_stops(timedlock_after_destroy, "destroyed");
	check_stops(unlock_after_destroy, "destroyed");
	check_stops(stats_after_destroy, "destroyed");
	check_stops(destroy_twice, "destroyed");
}

TEST(checked, right_use_goes_on)
{
	struct range_lock mine;
	struct range_hold a, b;

	for (int i = 0; i < 3; i++) {
		CHECK_EQ(range_lock_init(&mine, NULL), 0);
		take(&mine, &a, 0, 1, RANGE_WRITE);
		CHECK_EQ(range_trylock(&mine, &b, 0, 1, RANGE_READ), EBUSY);
		CHECK_EQ(range_lock(&mine, &b, 1, 1, RANGE_READ), EINVAL);
		take(&mine, &b, 1, 2, RANGE_READ);
		CHECK_EQ(range_lock_destroy(&mine), EBUSY);
		range_unlock(&mine, &a);
		take(&mine, &a, 1, 2, RANGE_READ);
		range_unlock(&mine, &b);
		range_unlock(&mine, &a);
		check_quiet_and_destroy(&mine);
	}
}

/* lock, or timedlock with a deadline far away, or with none. */
static int acquire_patiently(int how, struct range_lock *in, struct range_hold *r, uint64_t start,
			     uint64_t end, enum range_mode mode)
{
	struct timespec later = time_after(CLOCK_MONOTONIC, 1000 * SECOND);

	if (how == 0)
		return range_lock(in, r, start, end, mode);
	return range_timedlock(in, r, start, end, mode, CLOCK_MONOTONIC, how == 1 ? &later : NULL);
}

TEST(checked, a_thread_that_would_wait_for_itself_gets_edeadlk)
{
	struct range_lock mine = RANGE_LOCK_INITIALIZER;
	struct range_hold reader, writer, r;

	if (skipped())
		return;
	take(&mine, &reader, 0, 10, RANGE_READ);
	take(&mine, &writer, 20, 30, RANGE_WRITE);
	for (int how = 0; how < 3; how++) {
		CHECK_EQ(acquire_patiently(how, &mine, &r, 9, 11, RANGE_WRITE), EDEADLK);
		CHECK_EQ(acquire_patiently(how, &mine, &r, 19, 21, RANGE_READ), EDEADLK);
		CHECK_EQ(acquire_patiently(how, &mine, &r, FULL, RANGE_WRITE), EDEADLK);
		check_valid(&mine);
		CHECK_EQ(range_trylock(&mine, &r, 9, 11, RANGE_WRITE), EBUSY);
		/*
		 * The failed calls hold no range, and a call without a conflict is no deadlock.
		 */
		CHECK_EQ(acquire_patiently(how, &mine, &r, 9, 20, RANGE_READ), 0);
		range_unlock(&mine, &r);
		CHECK_EQ(acquire_patiently(how, &mine, &r, 10, 20, RANGE_WRITE), 0);
		range_unlock(&mine, &r);
	}
	CHECK_EQ(lock_stats(&mine).waits, 0);
	range_unlock(&mine, &reader);
	CHECK_EQ(range_lock(&mine, &r, 9, 11, RANGE_WRITE), 0);
	range_unlock(&mine, &r);
	range_unlock(&mine, &writer);
	check_quiet_and_destroy(&mine);
}

/* In whichever way the thread acquired them. */
TEST(checked, ranges_from_sets_splits_and_extensions_are_the_thread_s_own)
{
	struct range_lock mine = RANGE_LOCK_INITIALIZER;
	struct range_hold ranges[2], upper, r;
	struct range_request requests[2] = { { &ranges[0], 0, 10, RANGE_WRITE },
					     { &ranges[1], 20, 30, RANGE_WRITE } };

	if (skipped())
		return;
	CHECK_EQ(range_lock_many(&mine, requests, 2), 0);
	CHECK_EQ(range_lock(&mine, &r, 5, 6, RANGE_READ), EDEADLK);
	CHECK_EQ(range_lock(&mine, &r, 25, 26, RANGE_READ), EDEADLK);
	CHECK_EQ(range_split(&mine, &ranges[0], 5, &upper), 0);
	CHECK_EQ(range_lock(&mine, &r, 4, 5, RANGE_READ), EDEADLK);
	CHECK_EQ(range_lock(&mine, &r, 5, 6, RANGE_READ), EDEADLK);
	range_unlock(&mine, &ranges[0]);
	CHECK_EQ(range_lock(&mine, &r, 5, 6, RANGE_READ), EDEADLK);
	CHECK_EQ(range_tryextend(&mine, &upper, 5, 15), 0);
	CHECK_EQ(range_lock(&mine, &r, 14, 15, RANGE_READ), EDEADLK);
	CHECK_EQ(range_shrink(&mine, &upper, 5, 7), 0);
	take(&mine, &r, 7, 15, RANGE_WRITE);
	range_unlock(&mine, &r);
	range_unlock(&mine, &upper);
	range_unlock(&mine, &ranges[1]);
	check_quiet_and_destroy(&mine);
}

/* The storage of the upper range is not in use any more, and the lower range is the thread's own.
 */
TEST(checked, the_upper_range_of_a_join_is_forgotten)
{
	struct range_lock mine = RANGE_LOCK_INITIALIZER;
	struct range_hold lower, upper;

	if (skipped())
		return;
	take(&mine, &lower, 0, 10, RANGE_WRITE);
	take(&mine, &upper, 10, 20, RANGE_WRITE);
	CHECK_EQ(range_join(&mine, &lower, &upper), 0);
	CHECK_EQ(range_lock(&mine, &upper, 19, 20, RANGE_READ), EDEADLK);
	take(&mine, &upper, 20, 30, RANGE_WRITE);
	range_unlock(&mine, &upper);
	range_unlock(&mine, &lower);
	take(&mine, &upper, FULL, RANGE_WRITE);
	range_unlock(&mine, &upper);
	check_quiet_and_destroy(&mine);
}

TEST(checked, waiting_for_another_thread_is_no_deadlock)
{
	struct range_lock mine = RANGE_LOCK_INITIALIZER;
	struct timespec soon;
	struct actor owner;
	struct range_hold mine_too, r;

	if (skipped())
		return;
	actor_start(&owner, &mine, 0, 10, RANGE_WRITE);
	actor_await(&owner);
	take(&mine, &mine_too, 10, 20, RANGE_WRITE);
	soon = time_after(CLOCK_MONOTONIC, SECOND / 100);
	CHECK_EQ(range_timedlock(&mine, &r, 9, 10, RANGE_READ, CLOCK_MONOTONIC, &soon), ETIMEDOUT);
	/* Both ranges conflict, and one of them is the thread's own. */
	CHECK_EQ(range_lock(&mine, &r, 9, 11, RANGE_READ), EDEADLK);
	range_unlock(&mine, &mine_too);
	CHECK_EQ(actor_finish(&owner), 0);
	check_quiet_and_destroy(&mine);
}
