/* SPDX-License-Identifier: MIT */
/* range_guard.h: guards that release their range at the end of their block. */
#include "actors.h"

#include <mmrange/range_guard.h>

#include <errno.h>

static struct range_lock lock = RANGE_LOCK_INITIALIZER;

static int leave_by_return(bool early)
{
	RANGE_GUARD(guard);
	int error = range_guard_lock(&guard, &lock, 0, 10, RANGE_WRITE);

	if (error || early)
		return error;
	CHECK(!is_free(&lock, 9, 10, RANGE_READ));
	return 1;
}

TEST(range_cleanup, the_end_of_the_block_releases_the_range_however_it_comes)
{
	CHECK_EQ(leave_by_return(true), 0);
	CHECK(is_free(&lock, FULL, RANGE_WRITE));
	CHECK_EQ(leave_by_return(false), 1);
	CHECK(is_free(&lock, FULL, RANGE_WRITE));
	for (int i = 0; i < 3; i++) {
		RANGE_GUARD(guard);

		CHECK_EQ(range_guard_trylock(&guard, &lock, 0, 10, RANGE_WRITE), 0);
		if (i == 0)
			continue;
		if (i == 1)
			goto out;
	}
out:
	CHECK(is_free(&lock, FULL, RANGE_WRITE));
}

TEST(range_cleanup, a_guard_whose_acquisition_failed_holds_nothing)
{
	const struct timespec past = { .tv_sec = 0 };
	struct actor other;

	/* A thread that waits for its own range would get EDEADLK in the checked build. */
	actor_start(&other, &lock, 5, 6, RANGE_READ);
	actor_await(&other);
	{
		RANGE_GUARD(guard);

		CHECK_EQ(range_guard_trylock(&guard, &lock, 0, 10, RANGE_WRITE), EBUSY);
		CHECK_EQ(range_guard_timedlock(&guard, &lock, 0, 10, RANGE_WRITE, CLOCK_MONOTONIC,
					       &past),
			 ETIMEDOUT);
		CHECK_EQ(range_guard_lock(&guard, &lock, 10, 0, RANGE_WRITE), EINVAL);
		CHECK(!guard.lock);
	}
	CHECK(!is_free(&lock, 5, 6, RANGE_WRITE));
	CHECK_EQ(actor_finish(&other), 0);
	CHECK(is_free(&lock, FULL, RANGE_WRITE));
}

TEST(range_cleanup, an_early_unlock_releases_once)
{
	RANGE_GUARD(guard);

	CHECK_EQ(range_guard_lock(&guard, &lock, 0, 10, RANGE_READ), 0);
	CHECK_EQ(range_tryupgrade(&lock, guard.hold), 0);
	range_guard_unlock(&guard);
	CHECK(is_free(&lock, FULL, RANGE_WRITE));
	range_guard_unlock(&guard);
	CHECK_EQ(range_guard_lock(&guard, &lock, 20, 30, RANGE_READ), 0);
}

TEST(range_cleanup, a_range_may_be_adopted_and_given_up)
{
	struct range_hold *given;

	{
		RANGE_GUARD(guard);

		CHECK_EQ(range_guard_lock(&guard, &lock, 0, 10, RANGE_WRITE), 0);
		given = NULL;
		{
			static struct range_hold kept;
			RANGE_GUARD(inner);

			take(&lock, &kept, 20, 30, RANGE_WRITE);
			range_guard_adopt(&inner, &lock, &kept);
			given = range_guard_release(&inner);
			CHECK(given == &kept);
		}
		CHECK(!is_free(&lock, 20, 30, RANGE_READ));
	}
	CHECK(is_free(&lock, 0, 10, RANGE_WRITE));
	{
		RANGE_GUARD(guard);

		range_guard_adopt(&guard, &lock, given);
	}
	CHECK(is_free(&lock, FULL, RANGE_WRITE));
}
