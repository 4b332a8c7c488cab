/* SPDX-License-Identifier: MIT */
/*
 * Waiters that arrive while the clock stands still are in order all the same, also in the queues of
 * different leaves. The linker wraps the clock.
 */
#include "leaves.h"
#include "range_lock/leaf.h"
#include "range_lock/wait_tree.h"

#include <errno.h>

uint64_t __real_mmrange__now(void);
uint64_t __wrap_mmrange__now(void);

/* 0: the clock runs. */
static atomic_uint_fast64_t stopped_at;

uint64_t __wrap_mmrange__now(void)
{
	uint64_t time = atomic_load(&stopped_at);

	return time ? time : __real_mmrange__now();
}

/* Whichever of the two ranges has the lower address. */
static void arrive_one_after_another(struct actor *first, struct actor *second)
{
	struct range_hold held[2];
	struct range_lock lock;

	init_lock(&lock, RANGE_FAIRNESS_FIFO, 16);
	split_leaf(&lock, 100);
	split_leaf(&lock, 200);
	take(&lock, &held[0], 50, 60, RANGE_WRITE);
	take(&lock, &held[1], 180, 190, RANGE_WRITE);
	atomic_store(&stopped_at, __real_mmrange__now());
	/*
	 * This waiter is in the queue of the first leaf, and the other one in that of the second.
	 */
	actor_queue(first, &lock, 50, 150, RANGE_WRITE);
	actor_queue(second, &lock, 140, 160, RANGE_WRITE);
	CHECK(range__earlier(range__hold(&first->range), range__hold(&second->range)));
	check_valid(&lock);
	range_unlock(&lock, &held[0]);
	actor_await(first);
	CHECK(!actor_holds(second));
	CHECK_EQ(actor_finish(first), 0);
	CHECK_EQ(actor_finish(second), 0);
	CHECK(first->turn < second->turn);
	range_unlock(&lock, &held[1]);
	atomic_store(&stopped_at, 0);
	check_quiet_and_destroy(&lock);
}

TEST(straddle_clock, a_waiter_is_ordered_after_an_earlier_one_in_another_leaf_s_queue)
{
	static struct actor actors[2];

	arrive_one_after_another(&actors[0], &actors[1]);
	arrive_one_after_another(&actors[1], &actors[0]);
}

/* The queue of a leaf is ahead of the clock. */
TEST(straddle_clock, a_waiter_is_ordered_after_one_whose_arrival_is_ahead_of_the_clock)
{
	static struct actor narrow[8], wide, last;
	struct range_hold held;
	struct range_lock lock;

	init_lock(&lock, RANGE_FAIRNESS_FIFO, 16);
	split_leaf(&lock, 100);
	take(&lock, &held, 50, 60, RANGE_WRITE);
	atomic_store(&stopped_at, __real_mmrange__now());
	for (unsigned int i = 0; i < 8; i++)
		actor_queue(&narrow[i], &lock, 50, 60, RANGE_WRITE);
	actor_queue(&wide, &lock, 55, 150, RANGE_WRITE);
	actor_queue(&last, &lock, 140, 160, RANGE_WRITE);
	check_valid(&lock);
	range_unlock(&lock, &held);
	for (unsigned int i = 0; i < 8; i++)
		CHECK_EQ(actor_finish(&narrow[i]), 0);
	CHECK_EQ(actor_finish(&wide), 0);
	CHECK_EQ(actor_finish(&last), 0);
	for (unsigned int i = 0; i < 7; i++)
		CHECK(narrow[i].turn < narrow[i + 1].turn);
	CHECK(narrow[7].turn < wide.turn && wide.turn < last.turn);
	atomic_store(&stopped_at, 0);
	check_quiet_and_destroy(&lock);
}

static void granted(int error, void *flag)
{
	CHECK_EQ(error, 0);
	*(bool *)flag = true;
}

/*
 * Two requests that arrived at one time stand in one queue, as the wide one has come there from the
 * queue of the leaf below. Which of them goes first depends on their addresses.
 */
static void meet_in_one_queue(struct range_hold *wide, struct range_hold *narrow)
{
	bool wide_first = (uintptr_t)wide < (uintptr_t)narrow, has_wide = false, has_narrow = false;
	struct range_hold below, above, beside;
	struct range_lock lock;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 16);
	split_leaf(&lock, 100);
	take(&lock, &below, 50, 60, RANGE_WRITE);
	take(&lock, &above, 100, 200, RANGE_WRITE);
	take(&lock, &beside, 300, 301, RANGE_WRITE);
	atomic_store(&stopped_at, __real_mmrange__now());
	CHECK_EQ(range_lock_async(&lock, wide, 50, 110, RANGE_WRITE, granted, &has_wide),
		 EINPROGRESS);
	CHECK_EQ(range_lock_async(&lock, narrow, 100, 200, RANGE_WRITE, granted, &has_narrow),
		 EINPROGRESS);
	CHECK_EQ(range__hold(wide)->arrival, range__hold(narrow)->arrival);
	/* Both become starving, the wide one by a claim. */
	atomic_fetch_add(&stopped_at, SECOND);
	range_unlock(&lock, &beside);
	range_unlock(&lock, &below);
	CHECK(range__hold(wide)->starving && range__hold(narrow)->starving);
	CHECK(range__hold(wide)->in == leaf_at(&lock, 100));
	range_unlock(&lock, &above);
	check_valid(&lock);
	CHECK(has_wide == wide_first && has_narrow == !wide_first);
	range_unlock(&lock, wide_first ? wide : narrow);
	CHECK(has_wide && has_narrow);
	range_unlock(&lock, wide_first ? narrow : wide);
	atomic_store(&stopped_at, 0);
	check_quiet_and_destroy(&lock);
}

TEST(straddle_clock, of_two_waiters_of_one_time_in_one_queue_a_release_wakes_the_one_to_go_first)
{
	struct range_hold ranges[2];

	meet_in_one_queue(&ranges[0], &ranges[1]);
	meet_in_one_queue(&ranges[1], &ranges[0]);
}
