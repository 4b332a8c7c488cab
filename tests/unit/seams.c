/* SPDX-License-Identifier: MIT */
/* Leaves that are merged for a range are back when it is released, if they are worth it. */
#include "actors.h"

#include "range_lock/forest.h"

#include <errno.h>

enum { LEAVES = 8 };

/* What the leaves of a lock are, to see whether they are the same again. */
struct layout {
	unsigned int n;
	uint64_t lo[64];
	struct range__leaf *leaf[64];
};

static struct layout layout_of(struct range_lock *lock)
{
	struct range__forest *forest = forest_of(lock);
	struct layout layout = { .n = atomic_load(&forest->count) };

	CHECK(layout.n <= 64);
	for (unsigned int i = 0; i < layout.n; i++) {
		layout.lo[i] = atomic_load(&forest->entries[i].lo);
		layout.leaf[i] = atomic_load(&forest->entries[i].leaf);
	}
	return layout;
}

static void check_layout(struct range_lock *lock, const struct layout *expected)
{
	struct layout now = layout_of(lock);

	CHECK_EQ(now.n, expected->n);
	for (unsigned int i = 0; i < now.n; i++)
		CHECK(now.lo[i] == expected->lo[i] && now.leaf[i] == expected->leaf[i]);
	check_valid(lock);
}

/* Two leaves are next to each other at point. */
static bool apart_at(struct range_lock *lock, uint64_t point)
{
	struct layout layout = layout_of(lock);

	for (unsigned int i = 0; i < layout.n; i++)
		if (layout.lo[i] == point)
			return true;
	return false;
}

/* Leaves at 0, 10, 20, ..; each has been used. */
static struct layout begin(struct range_lock *lock, enum range_fairness fairness,
			   uint32_t max_leaves)
{
	init_lock(lock, fairness, max_leaves);
	make_leaves(lock, LEAVES);
	for (uint64_t i = 0; i < LEAVES; i++)
		visit(lock, (unsigned int)i, i * 10);
	for (uint64_t i = 0; i < LEAVES; i++)
		CHECK(apart_at(lock, i * 10));
	return layout_of(lock);
}

static void take_as(unsigned int thread, struct range_lock *lock, struct range_hold *range,
		    uint64_t start, uint64_t end, enum range_mode mode)
{
	play_thread(thread);
	take(lock, range, start, end, mode);
}

TEST(seams, the_same_leaves_are_back_as_soon_as_a_full_range_is_released)
{
	for (int reader = 0; reader < 2; reader++) {
		struct range_lock lock;
		struct layout layout = begin(&lock, fairnesses[reader], 64);
		struct range_lock_stats before = lock_stats(&lock), after;
		struct range_hold range;

		take_as(20, &lock, &range, FULL, reader ? RANGE_READ : RANGE_WRITE);
		CHECK_EQ(lock_stats(&lock).leaves, 1);
		check_valid(&lock);
		range_unlock(&lock, &range);
		check_layout(&lock, &layout);
		after = lock_stats(&lock);
		CHECK_EQ(after.merges, before.merges + LEAVES - 1);
		CHECK_EQ(after.splits, before.splits + LEAVES - 1);
		/* The fast path, too. */
		for (uint64_t i = 0; i < LEAVES; i++) {
			take_as((unsigned int)i, &lock, &range, i * 10, i * 10 + 1, RANGE_WRITE);
			CHECK_EQ(atomic_load(&range.leaf->word), range__word_single(&range));
			range_unlock(&lock, &range);
		}
		check_quiet_and_destroy(&lock);
	}
}

TEST(seams, ranges_that_lie_between_seams_go_on_in_the_leaves_that_come_back)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	struct range_hold readers[LEAVES], range;

	for (uint64_t i = 0; i < LEAVES; i++)
		take_as((unsigned int)i, &lock, &readers[i], i * 10, i * 10 + 5, RANGE_READ);
	take_as(20, &lock, &range, 5, 65, RANGE_READ);
	CHECK_EQ(lock_stats(&lock).leaves, 2);
	check_valid(&lock);
	range_unlock(&lock, &range);
	check_layout(&lock, &layout);
	for (uint64_t i = 0; i < LEAVES; i++) {
		CHECK(!is_free(&lock, i * 10, i * 10 + 5, RANGE_WRITE));
		CHECK(is_free(&lock, i * 10 + 5, i * 10 + 10, RANGE_WRITE));
		range_unlock(&lock, &readers[i]);
	}
	check_quiet_and_destroy(&lock);
}

TEST(seams, a_seam_that_a_range_crosses_stays_closed_until_that_is_released)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	struct range_hold wide, full;

	/* One range is within the other, and each of them is released first. */
	for (int wide_first = 0; wide_first < 2; wide_first++) {
		for (uint64_t at = 0; at < 6; at++) {
			for (uint64_t i = 0; i < LEAVES; i++)
				visit(&lock, (unsigned int)i, i * 10);
			take_as(20, &lock, &wide, at * 10 + 5, at * 10 + 25, RANGE_READ);
			CHECK_EQ(lock_stats(&lock).leaves, LEAVES - 2);
			take_as(21, &lock, &full, FULL, RANGE_READ);
			CHECK_EQ(lock_stats(&lock).leaves, 1);
			check_valid(&lock);
			range_unlock(&lock, wide_first ? &wide : &full);
			check_valid(&lock);
			for (uint64_t i = 1; i < LEAVES; i++)
				CHECK_EQ(apart_at(&lock, i * 10),
					 !wide_first && i != at + 1 && i != at + 2);
			range_unlock(&lock, wide_first ? &full : &wide);
			check_layout(&lock, &layout);
		}
	}
	check_quiet_and_destroy(&lock);
}

TEST(seams, waiters_go_on_in_the_leaves_that_come_back)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct layout layout = begin(&lock, fairnesses[fair], 64);
		struct actor waiters[LEAVES];
		struct range_hold range;

		take_as(20, &lock, &range, FULL, RANGE_WRITE);
		for (uint64_t i = 0; i < LEAVES; i++)
			actor_queue(&waiters[i], &lock, i * 10, i * 10 + 1, RANGE_WRITE);
		range_unlock(&lock, &range);
		check_layout(&lock, &layout);
		for (uint64_t i = 0; i < LEAVES; i++) {
			actor_await(&waiters[i]);
			CHECK(!is_free(&lock, i * 10, i * 10 + 1, RANGE_READ));
			CHECK_EQ(actor_finish(&waiters[i]), 0);
		}
		check_quiet_and_destroy(&lock);
	}
}

TEST(seams, a_seam_that_a_waiter_crosses_stays_closed_until_that_is_done)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	struct actor waiter;
	struct range_hold narrow, range;

	take_as(1, &lock, &narrow, 10, 11, RANGE_WRITE);
	actor_queue(&waiter, &lock, 5, 25, RANGE_WRITE);
	take_as(20, &lock, &range, 30, 75, RANGE_WRITE);
	range_unlock(&lock, &range);
	CHECK(!apart_at(&lock, 10) && !apart_at(&lock, 20) && apart_at(&lock, 40));
	check_valid(&lock);
	range_unlock(&lock, &narrow);
	actor_await(&waiter);
	CHECK(!apart_at(&lock, 10) && !apart_at(&lock, 20));
	CHECK_EQ(actor_finish(&waiter), 0);
	check_layout(&lock, &layout);

	/* It may give up as well. */
	take_as(1, &lock, &narrow, 10, 11, RANGE_WRITE);
	actor_queue_timed(&waiter, &lock, 5, 25, RANGE_WRITE, SECOND / 1000);
	CHECK_EQ(actor_finish(&waiter), ETIMEDOUT);
	check_layout(&lock, &layout);
	range_unlock(&lock, &narrow);
	check_quiet_and_destroy(&lock);
}

TEST(seams, operations_on_held_ranges_close_seams_and_open_them)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	struct range_hold range, upper;

	take_as(20, &lock, &range, 32, 33, RANGE_WRITE);
	CHECK_EQ(range_tryextend(&lock, &range, 12, 65), 0);
	CHECK_EQ(lock_stats(&lock).leaves, LEAVES - 5);
	check_valid(&lock);
	CHECK_EQ(range_shrink(&lock, &range, 15, 45), 0);
	CHECK(apart_at(&lock, 50) && !apart_at(&lock, 40) && !apart_at(&lock, 20));
	CHECK_EQ(range_shrink(&lock, &range, 32, 33), 0);
	check_layout(&lock, &layout);
	CHECK(!is_free(&lock, 32, 33, RANGE_READ));
	CHECK(is_free(&lock, 33, 40, RANGE_WRITE));
	CHECK_EQ(range_tryextend(&lock, &range, FULL), 0);
	CHECK_EQ(range_split(&lock, &range, 40, &upper), 0);
	range_unlock(&lock, &range);
	check_valid(&lock);
	CHECK(apart_at(&lock, 10) && apart_at(&lock, 40) && !apart_at(&lock, 50));
	range_unlock(&lock, &upper);
	check_layout(&lock, &layout);
	check_quiet_and_destroy(&lock);
}

TEST(seams, many_ranges_that_span_leaves_open_their_seams_one_after_another)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	struct range_hold low, high;
	struct range_request requests[] = { { &high, 35, 65, RANGE_WRITE },
					    { &low, 5, 25, RANGE_READ } };

	play_thread(20);
	CHECK_EQ(range_lock_many(&lock, requests, 2), 0);
	CHECK_EQ(lock_stats(&lock).leaves, LEAVES - 5);
	check_valid(&lock);
	range_unlock(&lock, &low);
	CHECK(apart_at(&lock, 10) && apart_at(&lock, 20) && !apart_at(&lock, 40));
	range_unlock(&lock, &high);
	check_layout(&lock, &layout);
	check_quiet_and_destroy(&lock);
}

/* Nobody may wait for the mutex with a leaf locked. Who holds it here is this thread. */
TEST(seams, who_cannot_have_the_mutex_leaves_the_seams_to_the_next)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	struct range_hold range;

	take_as(20, &lock, &range, FULL, RANGE_WRITE);
	CHECK_EQ(pthread_mutex_lock(&lock.mutex), 0);
	range_unlock(&lock, &range);
	CHECK_EQ(pthread_mutex_unlock(&lock.mutex), 0);
	CHECK_EQ(lock_stats(&lock).leaves, 1);
	/* Also the fast path must not pass by, or nobody would look. */
	CHECK_EQ(atomic_load(&layout.leaf[0]->word) & WORD_TAG, WORD_TREE);
	check_valid(&lock);
	visit(&lock, 3, 75);
	check_layout(&lock, &layout);
	check_quiet_and_destroy(&lock);
}

TEST(seams, a_full_range_now_and_then_leaves_the_leaves_as_they_are)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, 64);

	for (int i = 0; i < 1000; i++) {
		for (uint64_t k = 0; k < LEAVES; k++)
			visit(&lock, (unsigned int)k, k * 10);
		play_thread((unsigned int)i % LEAVES);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
		check_layout(&lock, &layout);
	}
	check_quiet_and_destroy(&lock);
}

TEST(seams, leaves_that_are_used_come_back_however_long_it_took_to_split_them)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, 64);

	for (unsigned int i = 0; i < LEAVES; i++)
		atomic_store(&layout.leaf[i]->patience, 256);
	for (int i = 0; i < 10; i++) {
		for (uint64_t k = 0; k < LEAVES; k++)
			visit(&lock, (unsigned int)k, k * 10);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
		check_layout(&lock, &layout);
	}
	for (unsigned int i = 0; i < LEAVES; i++)
		CHECK(atomic_load(&layout.leaf[i]->patience) < 8);
	check_quiet_and_destroy(&lock);
}

TEST(seams, two_full_ranges_in_a_row_leave_the_leaves_as_they_are_and_many_do_not)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	struct range_lock_stats stats;

	CHECK(is_free(&lock, FULL, RANGE_WRITE));
	CHECK(is_free(&lock, FULL, RANGE_WRITE));
	check_layout(&lock, &layout);
	for (int i = 0; i < 1000; i++)
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
	stats = lock_stats(&lock);
	CHECK_EQ(stats.leaves, 1);
	CHECK(stats.merges < 10 * LEAVES);
	check_valid(&lock);
	check_quiet_and_destroy(&lock);
}

TEST(seams, leaves_that_are_not_used_while_others_are_go_with_a_few_full_ranges)
{
	struct range_lock lock;

	begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	for (int i = 0; i < 8; i++) {
		alternate(&lock, 20, 50, 16);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
		check_valid(&lock);
	}
	for (uint64_t k = 1; k < LEAVES; k++)
		CHECK_EQ(apart_at(&lock, k * 10), k == 2 || k == 5);
	check_quiet_and_destroy(&lock);
}

TEST(seams, one_place_that_is_used_alone_needs_no_leaf_of_its_own)
{
	struct range_lock lock;

	begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	for (int i = 0; i < 8; i++) {
		visit(&lock, 5, 50);
		play_thread(20);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
		check_valid(&lock);
	}
	CHECK_EQ(lock_stats(&lock).leaves, 1);
	check_quiet_and_destroy(&lock);
}

TEST(seams, a_leaf_that_does_not_come_back_leaves_its_seams_to_the_other)
{
	struct range_lock lock;
	struct range_hold wide, full;

	begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	for (int i = 0; i < 4; i++) {
		for (uint64_t k = 0; k < LEAVES; k++)
			if (k != 1)
				visit(&lock, (unsigned int)k, k * 10);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
	}
	take_as(20, &lock, &wide, 15, 35, RANGE_READ);
	take_as(21, &lock, &full, FULL, RANGE_READ);
	check_valid(&lock);
	range_unlock(&lock, &wide);
	range_unlock(&lock, &full);
	for (uint64_t k = 1; k < LEAVES; k++)
		CHECK_EQ(apart_at(&lock, k * 10), k != 1);
	check_valid(&lock);
	check_quiet_and_destroy(&lock);
}

TEST(seams, random_wide_ranges_do_not_merge_and_restore_each_time)
{
	enum { KEYS = 80, ROUNDS = 20000 };
	uint64_t random = test_seed("seams/random_wide_ranges_do_not_merge_and_restore_each_time");
	struct range_lock lock;
	struct range_lock_stats stats;

	begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t a = test_random_below(&random, KEYS), b = test_random_below(&random, KEYS);

		play_thread((unsigned int)test_random_below(&random, 2));
		CHECK(is_free(&lock, a < b ? a : b, (a < b ? b : a) + 1, RANGE_WRITE));
	}
	stats = lock_stats(&lock);
	fprintf(stderr, "%" PRIu64 " merges, %" PRIu64 " leaves\n", stats.merges, stats.leaves);
	CHECK(stats.merges < ROUNDS / 20);
	check_valid(&lock);
	check_quiet_and_destroy(&lock);
}

/* Leaves are swept as others, here from base on, are split. */
static void sweep_once(struct range_lock *lock, uint64_t base)
{
	forest_of(lock)->swept_at = 0;
	for (uint64_t key = base;
	     forest_of(lock)->swept_at == 0 || forest_of(lock)->sweep != UINT64_MAX; key += 10) {
		CHECK(key < base + 50000);
		alternate(lock, key, key + 5, 8);
	}
}

TEST(seams, a_leaf_that_is_cold_is_swept_though_it_came_back_meanwhile)
{
	struct range_lock lock;

	begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	for (uint64_t sweeps = 1; sweeps <= 2; sweeps++) {
		sweep_once(&lock, sweeps * 100000);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
		check_valid(&lock);
	}
	/* The full ranges were noted as the use of the first leaf. */
	for (uint64_t k = 2; k < LEAVES; k++)
		CHECK(!apart_at(&lock, k * 10));
	check_quiet_and_destroy(&lock);
}

TEST(seams, a_leaf_that_has_seams_is_not_swept)
{
	struct range_lock lock;
	struct range_hold range;

	begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	take_as(20, &lock, &range, 5, 65, RANGE_WRITE);
	CHECK_EQ(pthread_mutex_lock(&lock.mutex), 0);
	range_unlock(&lock, &range);
	CHECK_EQ(pthread_mutex_unlock(&lock.mutex), 0);
	for (uint64_t sweeps = 1; sweeps <= 2; sweeps++) {
		sweep_once(&lock, sweeps * 100000);
		check_valid(&lock);
	}
	visit(&lock, 0, 0);
	for (uint64_t k = 1; k < LEAVES - 1; k++)
		CHECK(apart_at(&lock, k * 10));
	check_quiet_and_destroy(&lock);
}

TEST(seams, those_that_are_kept_count_as_leaves)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, LEAVES);
	struct range_hold range;

	take_as(20, &lock, &range, 5, 65, RANGE_READ);
	CHECK_EQ(lock_stats(&lock).leaves, 2);
	alternate(&lock, 1000, 2000, 1000);
	CHECK_EQ(lock_stats(&lock).leaves, 2);
	range_unlock(&lock, &range);
	check_layout(&lock, &layout);
	check_quiet_and_destroy(&lock);
}

/* Whoever holds a wide range for long does not stop the leaf from being split elsewhere. */
TEST(seams, a_leaf_with_seams_can_be_split_and_each_part_has_its_own)
{
	struct range_lock lock;
	struct range_hold left, right, full;

	begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	take_as(20, &lock, &left, 5, 25, RANGE_READ);
	take_as(21, &lock, &right, 45, 65, RANGE_READ);
	take_as(22, &lock, &full, 5, 65, RANGE_READ);
	CHECK_EQ(pthread_mutex_lock(&lock.mutex), 0);
	range_unlock(&lock, &full);
	CHECK_EQ(pthread_mutex_unlock(&lock.mutex), 0);
	CHECK(!apart_at(&lock, 30) && !apart_at(&lock, 40));
	/* Those that nothing crosses come apart; then it is split in the usual way. */
	alternate(&lock, 32, 42, 64);
	CHECK(apart_at(&lock, 30) && apart_at(&lock, 40));
	check_valid(&lock);
	alternate(&lock, 0, 4, 64);
	check_valid(&lock);
	alternate(&lock, 25, 27, 64);
	check_valid(&lock);
	range_unlock(&lock, &left);
	range_unlock(&lock, &right);
	for (uint64_t k = 1; k < LEAVES; k++)
		CHECK(apart_at(&lock, k * 10));
	check_quiet_and_destroy(&lock);
}

/*
 * The lock has as many leaves as it may have, those that are kept for seams included, and the release
 * that should have opened them had no mutex. An acquisition that would split the leaf opens them.
 */
TEST(seams, an_acquisition_opens_those_of_a_lock_that_has_all_its_leaves)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, LEAVES);
	struct range_hold full, range;

	take_as(20, &lock, &full, FULL, RANGE_WRITE);
	CHECK_EQ(pthread_mutex_lock(&lock.mutex), 0);
	range_unlock(&lock, &full);
	alternate(&lock, 32, 42, 1000);
	CHECK_EQ(pthread_mutex_unlock(&lock.mutex), 0);
	CHECK_EQ(lock_stats(&lock).leaves, 1);
	take_as(21, &lock, &range, 32, 33, RANGE_WRITE);
	check_layout(&lock, &layout);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

struct releaser {
	struct range_lock *lock;
	struct range_hold range;
	atomic_bool done;
};

static void *release_it(void *arg)
{
	struct releaser *releaser = arg;

	range_unlock(releaser->lock, &releaser->range);
	atomic_store(&releaser->done, true);
	return NULL;
}

/* A thread that comes late may have locked it, although its keys are in another leaf (R2). */
TEST(seams, a_leaf_that_comes_back_is_locked_until_it_has_its_keys)
{
	struct range_lock lock;
	struct layout layout = begin(&lock, RANGE_FAIRNESS_BARGING, 64);
	struct range__leaf *seam = layout.leaf[LEAVES / 2];
	struct releaser releaser = { .lock = &lock };
	pthread_t thread;

	take_as(20, &lock, &releaser.range, FULL, RANGE_WRITE);
	CHECK_EQ(lock_stats(&lock).leaves, 1);
	range__leaf_lock(seam);
	thread = thread_start(release_it, &releaser);
	AWAIT(atomic_load(&seam->word) & WORD_SLEEPERS || atomic_load(&releaser.done));
	CHECK(!atomic_load(&releaser.done));
	range__leaf_unlock(seam, NULL);
	thread_join(thread);
	check_layout(&lock, &layout);
	check_quiet_and_destroy(&lock);
}
