/* SPDX-License-Identifier: MIT */
/* The thread that the library names to a tracer as the one that a waiter waits for. */
#include "leaves.h"

#include "range_lock/blocker.h"

static struct range_lock lock;
static struct range_hold held;

/* Leaves at 10, 20, .. 70. */
static void begin(enum range_fairness fairness)
{
	init_lock(&lock, fairness, 64);
	for (uint64_t key = 70; key > 0; key -= 10)
		split_leaf(&lock, key);
}

/* For a newcomer that wants [start, end). */
static uint32_t blocker(uint64_t start, uint64_t end, enum range_mode mode)
{
	const struct range__hold range = {
		.start = start, .end = end, .mode = mode, .arrival = UINT64_MAX
	};

	return range__blocker(range__lock(&lock), &range);
}

static uint32_t thread_of(const struct range_hold *range)
{
	return (uint32_t)(((const struct range__hold *)(const void *)range)->owner >> 32);
}

static uint32_t self(void)
{
	return (uint32_t)(mmrange__self() >> 32);
}

TEST(blocker, a_waiter_waits_for_the_thread_that_holds_a_conflicting_range)
{
	begin(RANGE_FAIRNESS_BARGING);
	take(&lock, &held, 15, 25, RANGE_READ);
	CHECK_EQ(blocker(15, 16, RANGE_WRITE), self());
	CHECK_EQ(blocker(0, 50, RANGE_WRITE), self());
	CHECK_EQ(blocker(24, 80, RANGE_WRITE), self());
	CHECK_EQ(blocker(15, 16, RANGE_READ), 0);
	CHECK_EQ(blocker(0, 15, RANGE_WRITE), 0);
	CHECK_EQ(blocker(25, 80, RANGE_WRITE), 0);
	range_unlock(&lock, &held);
	CHECK_EQ(blocker(FULL, RANGE_WRITE), 0);
	check_quiet_and_destroy(&lock);
}

TEST(blocker, the_holder_of_a_range_over_many_leaves_is_found_inside_it)
{
	begin(RANGE_FAIRNESS_BARGING);
	take(&lock, &held, 5, 75, RANGE_WRITE);
	for (uint64_t key = 5; key < 75; key++)
		CHECK_EQ(blocker(key, key + 1, RANGE_READ), self());
	CHECK_EQ(blocker(4, 5, RANGE_READ), 0);
	CHECK_EQ(blocker(75, 76, RANGE_READ), 0);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
}

/* In one leaf, and over several leaves, where it claims those whose queues it is not in. */
TEST(blocker, a_newcomer_waits_for_a_starving_waiter_before_it)
{
	static const uint64_t ends[] = { 8, 35 };

	for (int fair = 0; fair < 2; fair++)
		for (int i = 0; i < 2; i++) {
			struct actor waiter;
			uint32_t expected;

			begin(fairnesses[fair]);
			take(&lock, &held, 0, 2, RANGE_READ);
			actor_queue(&waiter, &lock, 1, ends[i], RANGE_WRITE);
			expected = fair ? thread_of(&waiter.range) : 0;
			CHECK_EQ(blocker(ends[i] - 1, ends[i], RANGE_READ), expected);
			CHECK_EQ(blocker(ends[i], ends[i] + 1, RANGE_READ), 0);
			CHECK_EQ(blocker(1, 2, RANGE_WRITE), self());
			range_unlock(&lock, &held);
			CHECK_EQ(actor_finish(&waiter), 0);
			check_quiet_and_destroy(&lock);
		}
}
