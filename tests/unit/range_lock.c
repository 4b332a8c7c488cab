/* SPDX-License-Identifier: MIT */
/*
 * The range lock's API: every error, and which ranges exclude which. waiting.c tests which ranges a
 * waiter waits for, and forest.c how the lock adapts.
 *
 * Pitfalls of other range locks (design.md), and the tests that would detect them here, as
 * SUITE/NAME:
 *
 *  1 a delete in two steps: overlapping owners
 *	all of exclusion; wakeup/a_release_races_with_a_conflicting_acquisition
 *  2 going on with stale state after a failed swap
 *	all of exclusion and torture; forest/trylock_agrees_with_brute_force_on_any_thread
 *  3 freeing published memory
 *	wakeup/no_thread_touches_a_range_after_the_call_has_returned
 *  4 sleeping without a second look: lost wake-ups
 *	wakeup/lock_coupling_round_a_ring; wakeup/a_wake_up_survives_a_timeout
 *  5 waking through a waiter that has returned
 *	wakeup/no_thread_touches_a_range_after_the_call_has_returned
 *  6 a waiter that gave up leaves counts behind
 *	waiting/a_waiter_that_gave_up_leaves_no_trace;
 *	waiting/a_waiter_that_gives_up_frees_the_waiters_behind_it
 *  7 readers starve writers, writers starve readers
 *	all of starvation
 *  8 a disjoint request waits behind a blocked one
 *	waiting/a_disjoint_request_passes_a_blocked_waiter
 *  9 a fast path that hangs a thread with two ranges, or that one conflict disables permanently
 *	range_lock/one_thread_holds_many_ranges;
 *	forest/the_fast_path_comes_back_after_a_conflict
 * 10 `>` for `>=` at half-open ends
 *	range_lock/adjacent_ranges_are_disjoint; interval_tree/adjacent_ranges_do_not_overlap
 */
#include "actors.h"

#include "range_lock/layout.h"

#include <errno.h>
#include <string.h>

_Static_assert(sizeof(struct range_lock) <= 256, "the contract's bound");
_Static_assert(sizeof(struct range_hold) <= 192, "the contract's bound");

TEST(range_lock, empty_and_inverted_ranges_are_invalid)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold range;

	for (int how = 0; how < 3; how++) {
		CHECK_EQ(acquire_somehow(how, &lock, &range, 0, 0, RANGE_WRITE), EINVAL);
		CHECK_EQ(acquire_somehow(how, &lock, &range, 7, 7, RANGE_READ), EINVAL);
		CHECK_EQ(acquire_somehow(how, &lock, &range, 8, 7, RANGE_WRITE), EINVAL);
		CHECK_EQ(acquire_somehow(how, &lock, &range, UINT64_MAX, 0, RANGE_WRITE), EINVAL);
		CHECK_EQ(acquire_somehow(how, &lock, &range, UINT64_MAX, UINT64_MAX, RANGE_READ),
			 EINVAL);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
	}
	check_quiet_and_destroy(&lock);
}

TEST(range_lock, bad_modes_are_invalid)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold range;

	for (int how = 0; how < 3; how++) {
		CHECK_EQ(acquire_somehow(how, &lock, &range, 0, 1, (enum range_mode)2), EINVAL);
		CHECK_EQ(acquire_somehow(how, &lock, &range, 0, 1, (enum range_mode)257), EINVAL);
		CHECK_EQ(acquire_somehow(how, &lock, &range, 0, 1, (enum range_mode) - 1), EINVAL);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
	}
	check_quiet_and_destroy(&lock);
}

TEST(range_lock, bad_clocks_and_times_are_invalid)
{
	static const struct timespec bad[] = { { 0, -1 }, { 0, 1000000000 }, { 1, -1000000000 } };
	static const struct timespec good = { 1, 999999999 };
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold range;

	CHECK_EQ(range_timedlock(&lock, &range, 0, 1, RANGE_READ, CLOCK_PROCESS_CPUTIME_ID, &good),
		 EINVAL);
	CHECK_EQ(range_timedlock(&lock, &range, 0, 1, RANGE_READ, CLOCK_THREAD_CPUTIME_ID, NULL),
		 EINVAL);
	CHECK_EQ(range_timedlock(&lock, &range, 0, 1, RANGE_READ, (clockid_t)-1, &good), EINVAL);
	CHECK_EQ(range_timedlock(&lock, &range, 0, 1, RANGE_READ, (clockid_t)4711, &good), EINVAL);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK_EQ(range_timedlock(&lock, &range, 0, 1, RANGE_WRITE, CLOCK_REALTIME, &bad[i]),
			 EINVAL);
	CHECK(is_free(&lock, FULL, RANGE_WRITE));
	check_quiet_and_destroy(&lock);
}

TEST(range_lock, a_deadline_in_the_past_fails_only_if_the_range_is_held)
{
	static const struct timespec past[] = { { 0, 0 }, { 1, 999999999 }, { -1, 0 } };
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC };
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held, range;
	struct actor holder;

	actor_start(&holder, &lock, 10, 20, RANGE_WRITE);
	actor_await(&holder);
	for (size_t i = 0; i < 6; i++) {
		CHECK_EQ(range_timedlock(&lock, &range, 19, 30, RANGE_READ, clocks[i % 2],
					 &past[i / 2]),
			 ETIMEDOUT);
		CHECK_EQ(range_timedlock(&lock, &held, 20, 30, RANGE_WRITE, clocks[i % 2],
					 &past[i / 2]),
			 0);
		range_unlock(&lock, &held);
		check_valid(&lock);
	}
	CHECK_EQ(actor_finish(&holder), 0);
	CHECK_EQ(range_timedlock(&lock, &range, 19, 30, RANGE_READ, CLOCK_REALTIME, &past[0]), 0);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(range_lock, trylock_is_busy_exactly_if_the_range_conflicts)
{
	static const enum range_mode modes[] = { RANGE_READ, RANGE_WRITE };
	/*
	 * Around [10, 20): before, touching, across the start, inside, equal, around, across the
	 * end, after.
	 */
	static const struct {
		uint64_t start, end;
		bool overlaps;
	} cases[] = {
		{ 0, 9, false },   { 0, 10, false },          { 9, 10, false },  { 0, 11, true },
		{ 9, 11, true },   { 10, 11, true },          { 12, 13, true },  { 10, 20, true },
		{ 9, 21, true },   { 0, UINT64_MAX, true },   { 19, 20, true },  { 19, 21, true },
		{ 20, 21, false }, { 20, UINT64_MAX, false }, { 21, 30, false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (int m = 0; m < 4; m++) {
			struct range_lock lock = RANGE_LOCK_INITIALIZER;
			struct range_hold held, range;
			bool conflict = cases[i].overlaps && m != 0;
			enum range_mode mode = modes[m / 2];

			take(&lock, &held, 10, 20, modes[m % 2]);
			CHECK_EQ(range_trylock(&lock, &range, cases[i].start, cases[i].end, mode),
				 conflict ? EBUSY : 0);
			check_valid(&lock);
			if (!conflict)
				range_unlock(&lock, &range);
			range_unlock(&lock, &held);
			CHECK_EQ(lock_stats(&lock).waits, 0);
			check_quiet_and_destroy(&lock);
		}
	}
}

TEST(range_lock, adjacent_ranges_are_disjoint)
{
	static const uint64_t points[] = { 1, 2, 4096, UINT64_MAX - 1 };

	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		struct range_lock lock = RANGE_LOCK_INITIALIZER;
		struct range_hold below, above;

		take(&lock, &below, 0, points[i], RANGE_WRITE);
		take(&lock, &above, points[i], UINT64_MAX, RANGE_WRITE);
		CHECK(!is_free(&lock, points[i] - 1, points[i], RANGE_READ));
		CHECK(!is_free(&lock, points[i], points[i] + 1, RANGE_READ));
		range_unlock(&lock, &below);
		CHECK(is_free(&lock, points[i] - 1, points[i], RANGE_WRITE));
		CHECK(!is_free(&lock, points[i], points[i] + 1, RANGE_READ));
		range_unlock(&lock, &above);
		check_quiet_and_destroy(&lock);
	}
}

TEST(range_lock, the_full_range_conflicts_with_everything)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold full, first, last;

	take(&lock, &full, FULL, RANGE_WRITE);
	CHECK(!is_free(&lock, 0, 1, RANGE_READ));
	CHECK(!is_free(&lock, UINT64_MAX - 1, UINT64_MAX, RANGE_READ));
	CHECK(!is_free(&lock, UINT64_MAX / 2, UINT64_MAX / 2 + 1, RANGE_WRITE));
	range_unlock(&lock, &full);
	take(&lock, &first, 0, 1, RANGE_WRITE);
	take(&lock, &last, UINT64_MAX - 1, UINT64_MAX, RANGE_WRITE);
	CHECK(is_free(&lock, 1, UINT64_MAX - 1, RANGE_WRITE));
	CHECK(!is_free(&lock, FULL, RANGE_READ));
	range_unlock(&lock, &first);
	CHECK(!is_free(&lock, FULL, RANGE_READ));
	range_unlock(&lock, &last);
	check_quiet_and_destroy(&lock);
}

TEST(range_lock, readers_share_and_exclude_writers_until_the_last_one_releases)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold readers[8], writer;

	for (int i = 0; i < 8; i++)
		take(&lock, &readers[i], (uint64_t)i, 10, RANGE_READ);
	for (int i = 0; i < 8; i++) {
		CHECK(!is_free(&lock, 8, 9, RANGE_WRITE));
		CHECK(is_free(&lock, 0, 20, RANGE_READ));
		range_unlock(&lock, &readers[i]);
	}
	take(&lock, &writer, 8, 9, RANGE_WRITE);
	CHECK(!is_free(&lock, 0, 20, RANGE_READ));
	range_unlock(&lock, &writer);
	check_quiet_and_destroy(&lock);
}

TEST(range_lock, start_end_and_mode_may_be_read_by_the_holder)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold a, b;

	take(&lock, &a, 3, 5, RANGE_READ);
	take(&lock, &b, 4, UINT64_MAX, RANGE_READ);
	CHECK(a.start == 3 && a.end == 5 && a.mode == RANGE_READ);
	CHECK(b.start == 4 && b.end == UINT64_MAX && b.mode == RANGE_READ);
	range_unlock(&lock, &a);
	range_unlock(&lock, &b);
	check_quiet_and_destroy(&lock);
}

TEST(range_lock, a_range_needs_no_initialisation_and_can_be_used_again)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held, range;

	take(&lock, &held, 0, 10, RANGE_WRITE);
	for (int garbage = 0; garbage < 256; garbage += 51) {
		memset(&range, garbage, sizeof range);
		take(&lock, &range, 10, 20, RANGE_WRITE);
		range_unlock(&lock, &range);
		/* Unchanged. */
		take(&lock, &range, 20, 30, RANGE_READ);
		range_unlock(&lock, &range);
		memset(&range, garbage, sizeof range);
		CHECK_EQ(range_trylock(&lock, &range, 9, 11, RANGE_READ), EBUSY);
	}
	/* A copy of the bytes of a held range is garbage, too. */
	memcpy(&range, &held, sizeof range);
	take(&lock, &range, 10, 20, RANGE_WRITE);
	range_unlock(&lock, &held);
	CHECK(!is_free(&lock, 10, 20, RANGE_READ));
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

/* One thread holds ranges of all kinds and releases them in any order: also pitfall 9. */
TEST(range_lock, one_thread_holds_many_ranges)
{
	enum { N = 200 };
	static struct range_hold ranges[N];
	uint64_t state = test_seed("range_lock/one_thread_holds_many_ranges");

	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		int order[N];

		init_lock(&lock, fairnesses[fair], 1024);
		for (int i = 0; i < N; i++) {
			uint64_t start = (uint64_t)i * 10;

			order[i] = i;
			CHECK_EQ(range_lock(&lock, &ranges[i], start, start + 10, RANGE_WRITE), 0);
		}
		check_valid(&lock);
		for (int i = 0; i < N; i++) {
			int k = i + (int)test_random_below(&state, (uint64_t)(N - i));
			int chosen = order[k];
			uint64_t start = (uint64_t)chosen * 10;

			order[k] = order[i];
			CHECK(!is_free(&lock, start + 9, start + 10, RANGE_READ));
			range_unlock(&lock, &ranges[chosen]);
			CHECK(is_free(&lock, start, start + 10, RANGE_WRITE));
		}
		CHECK_EQ(lock_stats(&lock).waits, 0);
		check_quiet_and_destroy(&lock);
	}
}

static void *unlock_it(void *arg)
{
	struct actor *actor = arg;

	range_unlock(actor->lock, &actor->range);
	return NULL;
}

TEST(range_lock, another_thread_may_release_a_range)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct actor owner = { .lock = &lock }, waiter;
	struct range_hold again;

	take(&lock, &owner.range, 0, 10, RANGE_WRITE);
	thread_join(thread_start(unlock_it, &owner));
	CHECK(is_free(&lock, FULL, RANGE_WRITE));

	take(&lock, &owner.range, 0, 10, RANGE_WRITE);
	actor_queue(&waiter, &lock, 5, 15, RANGE_WRITE);
	thread_join(thread_start(unlock_it, &owner));
	actor_await(&waiter);
	/* The lock no longer takes the thread that acquired the range for its holder. */
	CHECK_EQ(range_lock(&lock, &again, 0, 5, RANGE_WRITE), 0);
	range_unlock(&lock, &again);
	CHECK_EQ(actor_finish(&waiter), 0);
	check_quiet_and_destroy(&lock);
}

TEST(range_lock, calls_do_not_change_errno)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct timespec deadline;
	struct range_hold held, range;
	struct actor holder, waiter;

	errno = 4711;
	actor_start(&holder, &lock, 0, 10, RANGE_WRITE);
	actor_await(&holder);
	take(&lock, &held, 10, 20, RANGE_WRITE);
	actor_queue(&waiter, &lock, 10, 20, RANGE_READ);
	errno = 4711;
	deadline = time_after(CLOCK_REALTIME, SECOND / 100);
	CHECK_EQ(range_timedlock(&lock, &range, 5, 6, RANGE_READ, CLOCK_REALTIME, &deadline),
		 ETIMEDOUT);
	deadline.tv_sec = -1;
	CHECK_EQ(range_timedlock(&lock, &range, 5, 6, RANGE_READ, CLOCK_REALTIME, &deadline),
		 ETIMEDOUT);
	CHECK_EQ(range_trylock(&lock, &range, 5, 6, RANGE_READ), EBUSY);
	CHECK_EQ(range_lock(&lock, &range, 5, 5, RANGE_READ), EINVAL);
	CHECK_EQ(range_lock_destroy(&lock), EBUSY);
	range_unlock(&lock, &held);
	CHECK_EQ(errno, 4711);
	CHECK_EQ(actor_finish(&waiter), 0);
	CHECK_EQ(actor_finish(&holder), 0);
	check_quiet_and_destroy(&lock);
}

TEST(range_lock, destroy_is_busy_while_a_range_is_held_or_waits)
{
	for (int many_leaves = 0; many_leaves < 2; many_leaves++) {
		struct range_lock lock = RANGE_LOCK_INITIALIZER;
		struct range_hold one, two;
		struct actor waiter;

		if (many_leaves)
			CHECK(split_by_turns(&lock, 100, 200, 100000));
		take(&lock, &one, 100, 101, RANGE_WRITE);
		CHECK_EQ(range_lock_destroy(&lock), EBUSY);
		take(&lock, &two, 200, 201, RANGE_READ);
		CHECK_EQ(range_lock_destroy(&lock), EBUSY);
		range_unlock(&lock, &one);
		CHECK_EQ(range_lock_destroy(&lock), EBUSY);
		actor_queue(&waiter, &lock, 200, 202, RANGE_WRITE);
		CHECK_EQ(range_lock_destroy(&lock), EBUSY);
		range_unlock(&lock, &two);
		actor_await(&waiter);
		CHECK_EQ(range_lock_destroy(&lock), EBUSY);
		CHECK_EQ(actor_finish(&waiter), 0);
		check_quiet_and_destroy(&lock);
	}
}

TEST(range_lock, a_destroyed_lock_can_be_initialised_again)
{
	struct range_lock lock;

	memset(&lock, 0x5a, sizeof lock);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(range_lock_init(&lock, NULL), 0);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
		CHECK(split_by_turns(&lock, 1, 2, 100000));
		check_quiet_and_destroy(&lock);
	}
}

TEST(range_lock, the_default_attributes_are_as_documented)
{
	struct range_lock_attr attr;

	memset(&attr, 0xff, sizeof attr);
	range_lock_attr_init(&attr);
	CHECK_EQ(attr.fairness, RANGE_FAIRNESS_BARGING);
	CHECK_EQ(attr.max_leaves, 1024);
	CHECK_EQ(attr.starvation_ns, 500000);
	CHECK_EQ(attr.bias, RANGE_BIAS_ADAPTIVE);
	CHECK(!attr.alloc && !attr.free && !attr.arg);
}

TEST(range_lock, attributes_out_of_bounds_are_refused)
{
	struct range_lock lock, before;
	struct range_lock_attr good, bad[6];
	struct memory_books books;

	range_lock_attr_init(&good);
	use_memory_books(&good, &books, 0);
	for (int i = 0; i < 6; i++)
		bad[i] = good;
	bad[0].max_leaves = 0;
	bad[1].max_leaves = RANGE_LOCK_LEAVES_MAX + 1;
	bad[2].fairness = (enum range_fairness)2;
	bad[3].alloc = NULL;
	bad[4].free = NULL;
	bad[5].bias = (enum range_bias)2;
	memset(&lock, 0x3c, sizeof lock);
	memcpy(&before, &lock, sizeof lock);
	for (int i = 0; i < 6; i++) {
		CHECK_EQ(range_lock_init(&lock, &bad[i]), EINVAL);
		CHECK(!memcmp(&lock, &before, sizeof lock));
	}
	good.max_leaves = RANGE_LOCK_LEAVES_MAX;
	CHECK_EQ(range_lock_init(&lock, &good), 0);
	/* The lock keeps a copy. */
	memset(&good, 0xff, sizeof good);
	check_quiet_and_destroy(&lock);
}

/* The newcomer conflicts with the waiter only. */
TEST(range_lock, the_static_initializer_for_fifo_makes_a_lock_that_is_fifo)
{
	static struct range_lock lock = RANGE_LOCK_INITIALIZER_FIFO;
	struct range_lock_attr attr;
	struct range_lock made;
	struct range_hold held, newcomer;
	struct actor waiter;

	range_lock_attr_init(&attr);
	attr.fairness = RANGE_FAIRNESS_FIFO;
	CHECK_EQ(range_lock_init(&made, &attr), 0);
	CHECK_EQ(range__lock(&lock)->fairness, range__lock(&made)->fairness);
	take(&lock, &held, 0, 10, RANGE_WRITE);
	actor_queue(&waiter, &lock, 5, 20, RANGE_WRITE);
	CHECK_EQ(range_trylock(&lock, &newcomer, 15, 16, RANGE_READ), EBUSY);
	range_unlock(&lock, &held);
	CHECK_EQ(actor_finish(&waiter), 0);
	check_quiet_and_destroy(&lock);
	check_quiet_and_destroy(&made);
}
