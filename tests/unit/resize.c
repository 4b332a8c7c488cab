/* SPDX-License-Identifier: MIT */
/* Operations on a held range. */
#include "actors.h"
#include "test.h"

#include <errno.h>
#include <stdbool.h>

TEST(resize, downgrading_lets_waiting_readers_in_and_keeps_writers_out)
{
	for (size_t i = 0; i < 2; i++) {
		struct range_lock lock;
		struct actor reader, writer;
		struct range_hold range;

		init_lock(&lock, fairnesses[i], 16);
		take(&lock, &range, 10, 20, RANGE_WRITE);
		actor_queue(&reader, &lock, 12, 13, RANGE_READ);
		range_downgrade(&lock, &range);
		actor_await(&reader);
		CHECK_EQ(range.mode, RANGE_READ);
		CHECK(is_free(&lock, 10, 20, RANGE_READ));
		CHECK(!is_free(&lock, 19, 20, RANGE_WRITE));
		range_downgrade(&lock, &range);
		actor_queue(&writer, &lock, 10, 12, RANGE_WRITE);
		range_unlock(&lock, &range);
		actor_await(&writer);
		CHECK_EQ(actor_finish(&reader), 0);
		CHECK_EQ(actor_finish(&writer), 0);
		check_quiet_and_destroy(&lock);
	}
}

TEST(resize, a_reader_that_is_alone_can_be_upgraded)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold range, other, beside;

	take(&lock, &range, 10, 20, RANGE_READ);
	take(&lock, &beside, 20, 30, RANGE_WRITE);
	take(&lock, &other, 19, 20, RANGE_READ);
	CHECK_EQ(range_tryupgrade(&lock, &range), EBUSY);
	CHECK_EQ(range.mode, RANGE_READ);
	CHECK(is_free(&lock, 10, 20, RANGE_READ));
	range_unlock(&lock, &other);
	CHECK_EQ(range_tryupgrade(&lock, &range), 0);
	CHECK_EQ(range.mode, RANGE_WRITE);
	CHECK(!is_free(&lock, 10, 11, RANGE_READ));
	CHECK_EQ(range_tryupgrade(&lock, &range), 0);
	range_unlock(&lock, &beside);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(resize, an_upgrade_passes_waiting_writers_but_not_a_starving_reader)
{
	struct range_lock lock;
	struct actor writer, reader;
	struct range_hold range;

	/* In FIFO each waiter is starving. */
	init_lock(&lock, RANGE_FAIRNESS_FIFO, 16);
	take(&lock, &range, 0, 10, RANGE_READ);
	actor_queue(&writer, &lock, 0, 5, RANGE_WRITE);
	CHECK_EQ(range_tryupgrade(&lock, &range), 0);
	range_downgrade(&lock, &range);
	CHECK(!actor_holds(&writer));
	actor_queue(&reader, &lock, 4, 6, RANGE_READ);
	CHECK_EQ(range_tryupgrade(&lock, &range), EBUSY);
	range_unlock(&lock, &range);
	CHECK_EQ(actor_finish(&writer), 0);
	CHECK_EQ(actor_finish(&reader), 0);
	check_quiet_and_destroy(&lock);
}

TEST(resize, upgrading_a_writer_succeeds_whichever_threads_wait)
{
	for (size_t i = 0; i < 2; i++) {
		struct range_lock lock;
		struct actor reader;
		struct range_hold range, other;

		init_lock(&lock, fairnesses[i], 1);
		set_starvation(&lock, 0);
		take(&lock, &range, 0, 10, RANGE_WRITE);
		take(&lock, &other, 20, 21, RANGE_WRITE);
		actor_queue(&reader, &lock, 0, 10, RANGE_READ);
		/* Now the waiter is starving, if it was not before. */
		range_unlock(&lock, &other);
		CHECK_EQ(range_tryupgrade(&lock, &range), 0);
		CHECK_EQ(range.mode, RANGE_WRITE);
		range_unlock(&lock, &range);
		CHECK_EQ(actor_finish(&reader), 0);
		check_quiet_and_destroy(&lock);
	}
}

TEST(resize, shrinking_frees_exactly_the_keys_given_up)
{
	for (size_t i = 0; i < 2; i++) {
		struct range_lock lock;
		struct actor below, above, inside;
		struct range_hold range;

		init_lock(&lock, fairnesses[i], 16);
		take(&lock, &range, 10, 20, RANGE_WRITE);
		actor_queue(&below, &lock, 0, 12, RANGE_WRITE);
		actor_queue(&inside, &lock, 12, 13, RANGE_READ);
		actor_queue(&above, &lock, 18, 30, RANGE_READ);
		CHECK_EQ(range_shrink(&lock, &range, 12, 18), 0);
		actor_await(&below);
		actor_await(&above);
		CHECK(!actor_holds(&inside));
		CHECK(range.start == 12 && range.end == 18);
		check_valid(&lock);
		CHECK_EQ(range_shrink(&lock, &range, 13, 18), 0);
		actor_await(&inside);
		CHECK_EQ(range_shrink(&lock, &range, 13, 18), 0);
		CHECK_EQ(actor_finish(&below), 0);
		CHECK_EQ(actor_finish(&inside), 0);
		CHECK_EQ(actor_finish(&above), 0);
		CHECK(is_free(&lock, 0, 13, RANGE_WRITE) && is_free(&lock, 18, 30, RANGE_WRITE));
		CHECK(!is_free(&lock, 13, 14, RANGE_READ) && !is_free(&lock, 17, 18, RANGE_READ));
		range_unlock(&lock, &range);
		check_quiet_and_destroy(&lock);
	}
}

TEST(resize, invalid_bounds_change_nothing)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold range, upper;

	take(&lock, &range, 10, 20, RANGE_WRITE);
	CHECK_EQ(range_shrink(&lock, &range, 15, 15), EINVAL);
	CHECK_EQ(range_shrink(&lock, &range, 16, 15), EINVAL);
	CHECK_EQ(range_shrink(&lock, &range, 9, 15), EINVAL);
	CHECK_EQ(range_shrink(&lock, &range, 15, 21), EINVAL);
	CHECK_EQ(range_tryextend(&lock, &range, 11, 30), EINVAL);
	CHECK_EQ(range_tryextend(&lock, &range, 0, 19), EINVAL);
	CHECK_EQ(range_split(&lock, &range, 10, &upper), EINVAL);
	CHECK_EQ(range_split(&lock, &range, 20, &upper), EINVAL);
	CHECK_EQ(range_split(&lock, &range, 9, &upper), EINVAL);
	CHECK_EQ(range_split(&lock, &range, UINT64_MAX, &upper), EINVAL);
	CHECK(range.start == 10 && range.end == 20 && range.mode == RANGE_WRITE);
	CHECK(!is_free(&lock, 10, 11, RANGE_READ) && !is_free(&lock, 19, 20, RANGE_READ));
	CHECK(is_free(&lock, 0, 10, RANGE_WRITE) && is_free(&lock, FULL, RANGE_READ) == false);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(resize, extending_takes_free_keys_at_either_end)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold range, below, above;

	take(&lock, &below, 0, 5, RANGE_READ);
	take(&lock, &range, 10, 20, RANGE_WRITE);
	take(&lock, &above, 30, 40, RANGE_WRITE);
	CHECK_EQ(range_tryextend(&lock, &range, 4, 20), EBUSY);
	CHECK_EQ(range_tryextend(&lock, &range, 10, 31), EBUSY);
	CHECK(range.start == 10 && range.end == 20);
	CHECK_EQ(range_tryextend(&lock, &range, 5, 30), 0);
	CHECK(range.start == 5 && range.end == 30);
	CHECK(!is_free(&lock, 5, 6, RANGE_READ) && !is_free(&lock, 29, 30, RANGE_READ));
	CHECK_EQ(range_tryextend(&lock, &range, 5, 30), 0);
	/* Readers do not conflict. */
	range_downgrade(&lock, &range);
	CHECK_EQ(range_tryextend(&lock, &range, 0, 30), 0);
	CHECK(is_free(&lock, 0, 30, RANGE_READ) && !is_free(&lock, 0, 1, RANGE_WRITE));
	range_unlock(&lock, &above);
	CHECK_EQ(range_tryextend(&lock, &range, FULL), 0);
	range_unlock(&lock, &below);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(resize, extending_does_not_pass_a_fifo_waiter)
{
	struct range_lock lock;
	struct range_hold range, other;
	struct actor waiter;

	init_lock(&lock, RANGE_FAIRNESS_FIFO, 16);
	take(&lock, &range, 0, 10, RANGE_WRITE);
	take(&lock, &other, 30, 40, RANGE_WRITE);
	actor_queue(&waiter, &lock, 20, 31, RANGE_WRITE);
	CHECK_EQ(range_tryextend(&lock, &range, 0, 21), EBUSY);
	CHECK_EQ(range_tryextend(&lock, &range, 0, 20), 0);
	range_unlock(&lock, &other);
	CHECK_EQ(actor_finish(&waiter), 0);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

/* Into the next leaf, over a leaf that the range then covers, and back. */
TEST(resize, a_range_may_extend_over_leaves_and_shrink_again)
{
	static const uint64_t bounds[][2] = {
		{ 45, 55 }, { 35, 46 }, { 5, 85 }, { 0, UINT64_MAX }
	};

	for (size_t i = 0; i < 2 * sizeof bounds / sizeof bounds[0]; i++) {
		struct range_lock lock = RANGE_LOCK_INITIALIZER;
		uint64_t start = bounds[i / 2][0], end = bounds[i / 2][1];
		struct range_hold range, other;

		make_leaves(&lock, 10);
		take(&lock, &range, 45, 46, i % 2 ? RANGE_READ : RANGE_WRITE);
		take(&lock, &other, start == 45 ? end - 1 : start, start == 45 ? end : start + 1,
		     RANGE_WRITE);
		CHECK_EQ(range_tryextend(&lock, &range, start, end), EBUSY);
		CHECK(range.start == 45 && range.end == 46);
		check_valid(&lock);
		range_unlock(&lock, &other);
		CHECK_EQ(range_tryextend(&lock, &range, start, end), 0);
		check_valid(&lock);
		for (uint64_t key = 0; key < 100; key++)
			CHECK_EQ(is_free(&lock, key, key + 1, RANGE_WRITE),
				 key < start || end <= key);
		CHECK_EQ(range_shrink(&lock, &range, 45, 46), 0);
		check_valid(&lock);
		CHECK(is_free(&lock, 0, 45, RANGE_WRITE) && !is_free(&lock, 45, 46, RANGE_WRITE));
		CHECK(is_free(&lock, 46, UINT64_MAX, RANGE_WRITE));
		range_unlock(&lock, &range);
		check_quiet_and_destroy(&lock);
	}
}

/* In a leaf that the range covers, or at a bound. */
TEST(resize, a_range_over_leaves_may_be_split_downgraded_and_upgraded)
{
	for (uint64_t point = 20; point < 60; point += 5) {
		struct range_lock lock = RANGE_LOCK_INITIALIZER;
		struct range_hold lower, upper;

		make_leaves(&lock, 10);
		take(&lock, &lower, 15, 65, RANGE_WRITE);
		range_downgrade(&lock, &lower);
		check_valid(&lock);
		CHECK(is_free(&lock, 15, 65, RANGE_READ) && !is_free(&lock, 30, 31, RANGE_WRITE));
		CHECK_EQ(range_tryupgrade(&lock, &lower), 0);
		check_valid(&lock);
		CHECK(!is_free(&lock, 64, 65, RANGE_READ) && !is_free(&lock, 30, 31, RANGE_READ));
		CHECK_EQ(range_split(&lock, &lower, point, &upper), 0);
		check_valid(&lock);
		range_unlock(&lock, point % 2 ? &lower : &upper);
		CHECK_EQ(is_free(&lock, 15, point, RANGE_READ), point % 2);
		CHECK_EQ(is_free(&lock, point, 65, RANGE_READ), !(point % 2));
		range_unlock(&lock, point % 2 ? &upper : &lower);
		check_quiet_and_destroy(&lock);
	}
}

TEST(resize, the_two_parts_of_a_split_range_are_released_on_their_own)
{
	for (unsigned int first = 0; first < 2; first++) {
		struct range_lock lock = RANGE_LOCK_INITIALIZER;
		struct range_hold parts[2];
		struct actor waiter;

		take(&lock, &parts[0], 10, 20, RANGE_WRITE);
		CHECK_EQ(range_split(&lock, &parts[0], 13, &parts[1]), 0);
		CHECK(parts[0].start == 10 && parts[0].end == 13);
		CHECK(parts[1].start == 13 && parts[1].end == 20 && parts[1].mode == RANGE_WRITE);
		check_valid(&lock);
		actor_queue(&waiter, &lock, first ? 13 : 12, first ? 14 : 13, RANGE_WRITE);
		range_unlock(&lock, &parts[first]);
		actor_await(&waiter);
		CHECK_EQ(actor_finish(&waiter), 0);
		CHECK_EQ(is_free(&lock, 10, 13, RANGE_READ), first == 0);
		CHECK_EQ(is_free(&lock, 13, 20, RANGE_READ), first == 1);
		range_unlock(&lock, &parts[!first]);
		check_quiet_and_destroy(&lock);
	}
}

/* In one leaf, and where the parts lie in several. */
TEST(resize, a_split_range_is_joined_again)
{
	for (int leaves = 0; leaves < 2; leaves++) {
		for (uint64_t point = 11; point < 60; point += 7) {
			struct range_lock lock;
			struct range_hold range, upper;

			init_lock(&lock, RANGE_FAIRNESS_BARGING, 64);
			if (leaves)
				make_leaves(&lock, 6);
			take(&lock, &range, 10, 60, point % 2 ? RANGE_READ : RANGE_WRITE);
			CHECK_EQ(range_split(&lock, &range, point, &upper), 0);
			CHECK_EQ(range_join(&lock, &range, &upper), 0);
			CHECK(range.start == 10 && range.end == 60);
			check_valid(&lock);
			CHECK(!is_free(&lock, point - 1, point, RANGE_WRITE));
			CHECK(!is_free(&lock, 59, 60, RANGE_WRITE));
			/* Its storage is the caller's. */
			take(&lock, &upper, 60, 61, RANGE_WRITE);
			range_unlock(&lock, &upper);
			range_unlock(&lock, &range);
			check_quiet_and_destroy(&lock);
		}
	}
}

TEST(resize, published_readers_are_joined)
{
	struct range_lock lock;
	struct range_hold lower, upper;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 64);
	make_leaves(&lock, 4);
	make_biased(&lock, 10);
	take_published(&lock, &lower, 12, 15);
	take_published(&lock, &upper, 15, 17);
	CHECK_EQ(range_join(&lock, &lower, &upper), 0);
	CHECK(lower.start == 12 && lower.end == 17);
	check_valid(&lock);
	range_unlock(&lock, &lower);
	check_quiet_and_destroy(&lock);
}

TEST(resize, ranges_that_do_not_belong_together_are_not_joined)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold lower, gap, reader;
	struct actor other;

	take(&lock, &lower, 0, 10, RANGE_WRITE);
	take(&lock, &gap, 11, 20, RANGE_WRITE);
	take(&lock, &reader, 20, 30, RANGE_READ);
	actor_start(&other, &lock, 10, 11, RANGE_WRITE);
	actor_await(&other);
	CHECK_EQ(range_join(&lock, &lower, &gap), EINVAL);
	CHECK_EQ(range_join(&lock, &gap, &lower), EINVAL);
	CHECK_EQ(range_join(&lock, &gap, &reader), EINVAL);
	CHECK_EQ(range_join(&lock, &lower, &other.range), EINVAL);
	CHECK(lower.end == 10 && gap.start == 11 && reader.start == 20 && other.range.start == 10);
	check_valid(&lock);
	CHECK_EQ(actor_finish(&other), 0);
	CHECK(is_free(&lock, 10, 11, RANGE_WRITE));
	range_unlock(&lock, &lower);
	range_unlock(&lock, &gap);
	range_unlock(&lock, &reader);
	check_quiet_and_destroy(&lock);
}

TEST(resize, a_joined_range_wakes_the_waiters_of_both_parts)
{
	for (size_t i = 0; i < 2; i++) {
		struct range_lock lock;
		struct range_hold lower, upper;
		struct actor below, above;

		init_lock(&lock, fairnesses[i], 16);
		take(&lock, &lower, 10, 20, RANGE_WRITE);
		take(&lock, &upper, 20, 30, RANGE_WRITE);
		actor_queue(&below, &lock, 10, 11, RANGE_WRITE);
		actor_queue(&above, &lock, 29, 30, RANGE_WRITE);
		CHECK_EQ(range_join(&lock, &lower, &upper), 0);
		check_valid(&lock);
		range_unlock(&lock, &lower);
		actor_await(&below);
		actor_await(&above);
		CHECK_EQ(actor_finish(&below), 0);
		CHECK_EQ(actor_finish(&above), 0);
		check_quiet_and_destroy(&lock);
	}
}
