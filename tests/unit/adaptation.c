/* SPDX-License-Identifier: MIT */
/*
 * How the leaves follow a changing load, and at what cost. One real thread plays all threads.
 */
#include "leaves.h"

#include "range_lock/history.h"
#include "range_lock/short_lock.h"

#include <errno.h>

/* The test decides when a sweep begins; otherwise sweeps begin one second apart. */
static void let_sweep(struct range_lock *lock)
{
	atomic_store(&forest_of(lock)->sweep_due, 0);
}

static void let_no_sweep_begin(struct range_lock *lock)
{
	atomic_store(&forest_of(lock)->sweep_due, UINT64_MAX);
}

/* The number of leaves that have only keys below end. */
static unsigned int leaves_below(struct range_lock *lock, uint64_t end)
{
	struct range__forest *forest = forest_of(lock);
	unsigned int n = 0;

	while (n + 1 < atomic_load(&forest->count) &&
	       atomic_load(&forest->entries[n + 1].lo) <= end)
		n++;
	return n;
}

/* With this many keys, threads hardly ever meet at one, so leaves there always want to be split. */
enum { HOT_KEYS = 100000 };

static void visit_hot_place(struct range_lock *lock, uint64_t base, unsigned int visits,
			    uint64_t *random)
{
	for (unsigned int i = 0; i < visits; i++) {
		unsigned int thread = (unsigned int)test_random_below(random, 2);

		visit(lock, thread, base + test_random_below(random, HOT_KEYS));
	}
}

TEST(adaptation, leaves_that_a_hot_place_left_behind_are_merged)
{
	static const uint64_t base = 100000;
	uint64_t random = test_seed("adaptation/leaves_that_a_hot_place_left_behind_are_merged");
	uint64_t end = now_ns() + 60 * SECOND;
	struct range_lock lock;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 64);
	make_leaves(&lock, 60);
	/*
	 * All leaves but the last are cold. One sweep marks leaves and the next one merges them, as
	 * far as the budget goes, which grows with time. The first leaf has none before it to merge
	 * into.
	 */
	while (leaves_below(&lock, base) > 1) {
		CHECK(now_ns() < end);
		let_sweep(&lock);
		visit_hot_place(&lock, base, 10000, &random);
		check_valid(&lock);
	}
	check_quiet_and_destroy(&lock);
}

/* Splits move the position of the sweep in the index. */
TEST(adaptation, live_leaves_outlast_the_sweep_while_leaves_below_it_split)
{
	enum { STEP = 64 }; /* leaves that one call looks at: see adapt.c */
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	uint64_t low = 9000;

	/* [0, 10000) is one leaf, and many leaves lie above. */
	make_far_leaves(&lock);
	for (uint64_t key = 10000; key < 10000 + 10 * 3 * STEP; key += 10)
		split_leaf(&lock, key);
	warm_leaves(&lock);
	let_sweep(&lock);
	for (int splits = 0; splits < 100; splits++, low -= 10) {
		split_leaf(&lock, low);
		if (atomic_load(&forest_of(&lock)->sweep_due) != 0)
			let_no_sweep_begin(&lock);
		CHECK_EQ(lock_stats(&lock).merges, 0);
	}
	CHECK_EQ(atomic_load(&forest_of(&lock)->sweep_due), UINT64_MAX);
	CHECK_EQ(forest_of(&lock)->sweep, 1);
	check_quiet_and_destroy(&lock);
}

static void take_full(struct range_lock *lock, unsigned int thread)
{
	struct range_hold range;

	play_thread(thread);
	CHECK_EQ(range_lock(lock, &range, FULL, RANGE_WRITE), 0);
	range_unlock(lock, &range);
}

TEST(adaptation, full_ranges_do_not_merge_the_leaves_of_private_places)
{
	struct range_lock lock;
	uint64_t splits;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 64);
	make_leaves(&lock, 8);
	splits = lock_stats(&lock).splits;
	for (unsigned int i = 0; i < 1000; i++) {
		for (unsigned int k = 0; k < 8; k++)
			visit(&lock, k, k * 10);
		take_full(&lock, i % 9);
		CHECK_EQ(lock_stats(&lock).splits, splits);
		CHECK_EQ(lock_stats(&lock).merges, 0);
	}
	check_quiet_and_destroy(&lock);
}

/* Two threads take turns at a range that straddles the bound at 200. */
static void straddle(struct range_lock *lock, unsigned int n)
{
	struct range_hold range;

	for (unsigned int i = 0; i < n; i++) {
		play_thread(i % 2);
		take(lock, &range, 190, 210, RANGE_WRITE);
		range_unlock(lock, &range);
	}
}

/* Visits of private places until a leaf is split; at most 10000. */
static unsigned int visits_until_split(struct range_lock *lock, uint64_t a, uint64_t b)
{
	uint64_t splits = lock_stats(lock).splits;
	unsigned int n = 0;

	for (; lock_stats(lock).splits == splits && n < 10000; n++)
		visit(lock, n % 2, n % 2 ? b : a);
	return n;
}

/*
 * Two threads take turns at [a, a + length) and [b, b + length) until the only leaf is split.
 * Returns the point.
 */
static uint64_t split_between(struct range_lock *lock, uint64_t a, uint64_t b, uint64_t length)
{
	struct range_hold range;

	for (unsigned int i = 0; lock_stats(lock).splits == 0; i++) {
		uint64_t start = i % 2 ? b : a;

		CHECK(i < 100);
		play_thread(i % 2);
		take(lock, &range, start, start + length, RANGE_WRITE);
		range_unlock(lock, &range);
	}
	return atomic_load(&forest_of(lock)->entries[1].lo);
}

static void check_split(uint64_t a, uint64_t b, uint64_t length, uint64_t point)
{
	for (int turned = 0; turned < 2; turned++) {
		struct range_lock lock = RANGE_LOCK_INITIALIZER;

		CHECK_EQ(split_between(&lock, turned ? b : a, turned ? a : b, length), point);
		check_quiet_and_destroy(&lock);
	}
}

TEST(adaptation, a_leaf_is_split_where_it_is_roundest_between_two_threads)
{
	check_split(5, 1000, 1, 512);
	check_split(0x12345000, 0x2a987000, 0x1000, 0x20000000);
	check_split(0, UINT64_MAX - 1, 1, UINT64_C(1) << 63);
	/* The point lies between the end of one range and the start of the other. */
	check_split(31, 40, 1, 32);
	check_split(24, 32, 1, 32);
	check_split(32, 33, 1, 33);
}

TEST(adaptation, a_leaf_is_split_at_the_end_of_a_range_that_others_like_it_could_cross_elsewhere)
{
	/* First each range is aligned to its length, then it is not. */
	check_split(0x100, 0x500, 0x100, 0x400);
	check_split(100, 500, 100, 500);
	check_split(0x1000, 0x9000, 0x3000, 0x9000);
	/* The point is much rounder than the ranges are long. */
	check_split(3000, 5000, 100, 4096);
	check_split(0x7d000, 0x82000, 0x3000, 0x80000);
}

TEST(adaptation, a_leaf_is_split_beside_a_range_that_is_held)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held;

	play_thread(2);
	take(&lock, &held, 400, 600, RANGE_WRITE);
	CHECK_EQ(split_between(&lock, 5, 1000, 1), 1000);
	range_unlock(&lock, &held);
	check_quiet_and_destroy(&lock);
}

/*
 * Threads use their places from the lower end on. They have used little of them when the lock makes
 * the leaves.
 */
TEST(adaptation, places_of_threads_need_one_leaf_each)
{
	enum { THREADS = 24, PLACE = 1000 };
	struct range_lock lock = RANGE_LOCK_INITIALIZER;

	for (uint64_t i = 0; i < 30; i++)
		for (unsigned int k = 0; k < THREADS; k++)
			visit(&lock, k, k * UINT64_C(1024) + i);
	CHECK_EQ(lock_stats(&lock).leaves, THREADS);
	for (uint64_t i = 0; i < PLACE; i++)
		for (unsigned int k = 0; k < THREADS; k++)
			visit(&lock, k, k * UINT64_C(1024) + (i * 7) % PLACE);
	CHECK_EQ(lock_stats(&lock).splits, THREADS - 1);
	CHECK_EQ(lock_stats(&lock).merges, 0);
	check_quiet_and_destroy(&lock);
}

TEST(adaptation, ranges_that_straddle_a_bound_raise_its_leaves_split_threshold_up_to_a_limit)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	unsigned int before, after;

	split_leaf(&lock, 200);
	before = visits_until_split(&lock, 20, 40);
	straddle(&lock, 100);
	CHECK_EQ(lock_stats(&lock).leaves, 3);
	after = visits_until_split(&lock, 100, 120);
	fprintf(stderr, "%u visits, then %u\n", before, after);
	CHECK(before < 10);
	CHECK(after > 100 && after < 600);
	check_quiet_and_destroy(&lock);
}

TEST(adaptation, ranges_that_only_straddle_split_no_leaf)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold range;

	split_leaf(&lock, 200);
	for (unsigned int i = 0; i < 2000; i++) {
		play_thread(i % 3);
		take(&lock, &range, 200 - 1 - i % 50, 201 + i % 50, RANGE_WRITE);
		range_unlock(&lock, &range);
	}
	CHECK_EQ(lock_stats(&lock).splits, 1 + (lock_stats(&lock).leaves - 2));
	CHECK_EQ(lock_stats(&lock).leaves, 2);
	check_quiet_and_destroy(&lock);
}

TEST(adaptation, occasional_collisions_at_one_place_do_not_keep_private_places_in_one_leaf)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;

	split_leaf(&lock, 200);
	straddle(&lock, 100);
	for (int i = 0; i < 40 && lock_stats(&lock).leaves == 2; i++) {
		alternate(&lock, 20, 100, 30);
		visit(&lock, 0, 150);
		visit(&lock, 1, 150);
	}
	CHECK(lock_stats(&lock).leaves > 2);
	check_quiet_and_destroy(&lock);
}

/* Some ranges straddle each bound, wherever the bounds are. */
TEST(adaptation, leaves_that_short_ranges_cover_are_merged_and_do_not_come_back)
{
	struct range_lock lock;
	struct range_hold range;
	struct range_lock_stats stats;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 64);
	make_far_leaves(&lock);
	for (uint64_t key = 2; key < 40; key += 2)
		split_leaf(&lock, 40 - key);
	let_no_sweep_begin(&lock);
	for (unsigned int i = 0; i < 30000; i++) {
		play_thread(i % 2);
		take(&lock, &range, i * 7 % 32, i * 7 % 32 + 8, RANGE_WRITE);
		range_unlock(&lock, &range);
	}
	stats = lock_stats(&lock);
	fprintf(stderr, "%" PRIu64 " leaves, %" PRIu64 " merges\n", stats.leaves, stats.merges);
	CHECK(stats.merges >= 8);
	CHECK(stats.leaves <= 4 + 12);
	check_quiet_and_destroy(&lock);
}

/* A collision, which the fast path cannot handle. */
static void collide_at(struct range_lock *lock, uint64_t key)
{
	struct range_hold range, other;

	take(lock, &range, key, key + 1, RANGE_WRITE);
	CHECK_EQ(range_trylock(lock, &other, key, key + 1, RANGE_WRITE), EBUSY);
	range_unlock(lock, &range);
}

TEST(adaptation, a_leaf_that_most_ranges_cross_is_merged_once_no_range_is_held_in_it)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held;

	split_leaf(&lock, 200);
	let_no_sweep_begin(&lock);
	straddle(&lock, 200);
	CHECK_EQ(lock_stats(&lock).merges, 0);
	take(&lock, &held, 300, 301, RANGE_WRITE);
	collide_at(&lock, 20);
	CHECK_EQ(lock_stats(&lock).merges, 0);
	range_unlock(&lock, &held);
	collide_at(&lock, 20);
	CHECK_EQ(lock_stats(&lock).merges, 0);
	straddle(&lock, 200);
	collide_at(&lock, 20);
	CHECK_EQ(lock_stats(&lock).merges, 1);
	CHECK_EQ(lock_stats(&lock).leaves, 1);
	check_quiet_and_destroy(&lock);
}

static void merge_at_200(struct range_lock *lock)
{
	uint64_t merges = lock_stats(lock).merges;

	straddle(lock, 200);
	collide_at(lock, 20);
	CHECK_EQ(lock_stats(lock).merges, merges + 1);
}

TEST(adaptation, after_too_fine_a_split_the_lock_splits_no_leaf_for_longer_each_time)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range__forest *forest;
	uint64_t leaves;

	make_far_leaves(&lock);
	leaves = lock_stats(&lock).leaves;
	split_leaf(&lock, 200);
	let_no_sweep_begin(&lock);
	forest = forest_of(&lock);
	for (uint64_t calm = 1000000; calm < 1000000000; calm *= 2) {
		merge_at_200(&lock);
		CHECK_EQ(forest->calm, calm);
		forest->calm_until = UINT64_MAX;
		alternate(&lock, 100, 300, 2000);
		CHECK_EQ(lock_stats(&lock).leaves, leaves);
		forest->calm_until = 0;
		split_leaf(&lock, 200);
	}
	merge_at_200(&lock);
	CHECK_EQ(forest->calm, 1000000000);
	sweep_leaves(&lock);
	CHECK_EQ(forest->calm, 500000000);
	check_quiet_and_destroy(&lock);
}

TEST(adaptation, a_leaf_that_most_ranges_lie_in_is_not_merged)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;

	split_leaf(&lock, 200);
	let_no_sweep_begin(&lock);
	for (int i = 0; i < 2000; i++) {
		straddle(&lock, 2);
		visit(&lock, 2, 300);
		visit(&lock, 3, 300);
		collide_at(&lock, 20);
	}
	CHECK_EQ(lock_stats(&lock).merges, 0);
	check_quiet_and_destroy(&lock);
}

/* A try for a range that spans leaves, by a thread that holds no range. */
static int try_full(struct range_lock *lock, struct range_hold *range, enum range_mode mode)
{
	play_thread(7);
	return range_trylock(lock, range, FULL, mode);
}

TEST(adaptation, a_try_that_fails_merges_no_leaves)
{
	for (unsigned int at = 0; at < 8; at++) {
		struct range_lock lock;
		struct range_hold held, range;
		uint64_t leaves;

		init_lock(&lock, fairnesses[at % 2], 64);
		make_leaves(&lock, 8);
		leaves = lock_stats(&lock).leaves;
		take(&lock, &held, at * 10, at * 10 + 1, at % 4 < 2 ? RANGE_READ : RANGE_WRITE);
		for (int i = 0; i < 3; i++)
			CHECK_EQ(try_full(&lock, &range, RANGE_WRITE), EBUSY);
		if (held.mode == RANGE_WRITE)
			CHECK_EQ(try_full(&lock, &range, RANGE_READ), EBUSY);
		CHECK_EQ(lock_stats(&lock).leaves, leaves);
		CHECK_EQ(lock_stats(&lock).merges, 0);
		/* Every leaf is unchanged. */
		for (uint64_t key = 5; key < 100; key += 10)
			CHECK(is_free(&lock, key, key + 1, RANGE_WRITE));
		CHECK(!is_free(&lock, at * 10, at * 10 + 1, RANGE_WRITE));
		range_unlock(&lock, &held);
		check_quiet_and_destroy(&lock);
	}
}

TEST(adaptation, a_try_that_succeeds_holds_its_range_in_all_leaves_and_merges_none)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold readers[4], range;

	make_leaves(&lock, 8);
	CHECK_EQ(try_full(&lock, &range, RANGE_WRITE), 0);
	for (uint64_t key = 0; key < 100; key += 5)
		CHECK(!is_free(&lock, key, key + 1, RANGE_READ));
	check_valid(&lock);
	range_unlock(&lock, &range);

	/* Readers in several leaves do not conflict with another reader. */
	for (uint64_t i = 0; i < 4; i++)
		take(&lock, &readers[i], i * 20, i * 20 + 1, RANGE_READ);
	CHECK_EQ(try_full(&lock, &range, RANGE_READ), 0);
	check_valid(&lock);
	for (int i = 0; i < 4; i++)
		range_unlock(&lock, &readers[i]);
	for (uint64_t key = 0; key < 100; key += 5) {
		CHECK(!is_free(&lock, key, key + 1, RANGE_WRITE));
		CHECK(is_free(&lock, key, key + 1, RANGE_READ));
	}
	range_unlock(&lock, &range);
	CHECK_EQ(lock_stats(&lock).leaves, 8);
	CHECK_EQ(lock_stats(&lock).merges, 0);
	check_quiet_and_destroy(&lock);
}

TEST(adaptation, the_lock_asks_for_refused_memory_only_a_few_times)
{
	/*
	 * Either the first allocation fails, or the second one, which is for the leaf after those
	 * of the first.
	 */
	for (unsigned int grants = 0; grants < 2; grants++) {
		struct range_lock_attr attr;
		struct memory_books books;
		struct range_lock lock;

		range_lock_attr_init(&attr);
		use_memory_books(&attr, &books, grants);
		CHECK_EQ(range_lock_init(&lock, &attr), 0);
		if (grants)
			make_leaves(&lock, 31);
		alternate(&lock, 10000, 10010, 1000);
		fprintf(stderr, "refused: %u\n", atomic_load(&books.refused));
		CHECK(atomic_load(&books.refused) > 0);
		CHECK(atomic_load(&books.refused) <= 12);
		check_quiet_and_destroy(&lock);
		check_memory_balanced(&books);
	}
}

/* An attempt to split resets the score to 0. */
static unsigned int attempts_to_split(struct range_lock *lock, uint64_t a, uint64_t b,
				      unsigned int visits)
{
	unsigned int attempts = 0;

	for (unsigned int i = 0; i < visits; i++) {
		struct range__leaf *leaf = leaf_at(lock, a);
		unsigned int before = atomic_load(&leaf->score);

		visit(lock, i % 2, i % 2 ? b : a);
		attempts += before > 0 && atomic_load(&leaf->score) == 0;
	}
	return attempts;
}

TEST(adaptation, with_all_leaves_in_use_the_lock_tries_to_split_only_a_few_times)
{
	for (uint32_t max = 1; max <= 4; max++) {
		struct range_lock lock;
		unsigned int attempts;

		init_lock(&lock, RANGE_FAIRNESS_BARGING, max);
		make_leaves(&lock, max);
		attempts = attempts_to_split(&lock, 10000, 10010, 1000);
		fprintf(stderr, "attempts: %u\n", attempts);
		CHECK(attempts > 0 && attempts <= 12);
		CHECK_EQ(lock_stats(&lock).leaves, max);
		check_quiet_and_destroy(&lock);
	}
}

static atomic_uint refusals;

/* malloc() and free() may do the same. */
static void *alloc_and_spoil(size_t size, size_t align, void *arg)
{
	const bool *refuse = arg;
	void *memory = NULL;

	if (!*refuse)
		CHECK_EQ(posix_memalign(&memory, align, size), 0);
	else
		atomic_fetch_add(&refusals, 1);
	errno = ENOMEM;
	return memory;
}

static void free_and_spoil(void *memory, size_t size, void *arg)
{
	(void)size, (void)arg;
	free(memory);
	errno = EDOM;
}

/* Every call that can end in more than one way. */
static void check_errno_through(struct range_lock *lock)
{
	struct timespec deadline = time_after(CLOCK_MONOTONIC, SECOND / 1000);
	struct range_hold held, range;

	for (uint64_t key = 0; key < 1000; key++) {
		errno = ERANGE;
		alternate(lock, key * 10, key * 10 + 5, 4);
		CHECK_EQ(errno, ERANGE);
	}
	take(lock, &held, 5, 6, RANGE_WRITE);
	CHECK_EQ(try_full(lock, &range, RANGE_WRITE), EBUSY);
	CHECK_EQ(range_lock(lock, &range, 1, 1, RANGE_WRITE), EINVAL);
	CHECK_EQ(range_timedlock(lock, &range, FULL, RANGE_READ, CLOCK_MONOTONIC, &deadline),
		 ETIMEDOUT);
	CHECK_EQ(range_lock_destroy(lock), EBUSY);
	range_unlock(lock, &held);
	CHECK_EQ(range_lock(lock, &range, FULL, RANGE_WRITE), 0);
	range_unlock(lock, &range);
	CHECK_EQ(errno, ERANGE);
	CHECK_EQ(range_lock_destroy(lock), 0);
	CHECK_EQ(errno, ERANGE);
}

TEST(adaptation, calls_keep_errno_whatever_the_memory_hooks_do)
{
	for (int refuse = 0; refuse < 2; refuse++) {
		bool refuses = refuse;
		struct range_lock_attr attr;
		struct range_lock lock;

		range_lock_attr_init(&attr);
		attr.alloc = alloc_and_spoil;
		attr.free = free_and_spoil;
		attr.arg = &refuses;
		atomic_store(&refusals, 0);
		CHECK_EQ(range_lock_init(&lock, &attr), 0);
		check_errno_through(&lock);
		CHECK_EQ(atomic_load(&refusals) > 0, refuses);
	}
}

/* Both ends of [0, 16), for reading. */
static void take_both_ends(struct range_lock *lock, unsigned int thread)
{
	struct range_hold ends[2];
	struct range_request requests[2] = { { &ends[0], 0, 4, RANGE_READ },
					     { &ends[1], 12, 16, RANGE_READ } };

	play_thread(thread);
	CHECK_EQ(range_lock_many(lock, requests, 2), 0);
	range_unlock(lock, &ends[0]);
	range_unlock(lock, &ends[1]);
}

/* Thread 1 makes its call while thread 0 asks for memory, and gets none. */
static void *alloc_late(size_t size, size_t align, void *arg)
{
	(void)size, (void)align;
	atomic_fetch_add(&refusals, 1);
	take_both_ends(arg, 1);
	play_thread(0);
	return NULL;
}

TEST(adaptation, ranges_that_threads_acquire_together_do_not_count_as_disjoint)
{
	struct range_lock_attr attr;
	struct range_lock lock;

	range_lock_attr_init(&attr);
	attr.alloc = alloc_late;
	attr.free = free_and_spoil;
	attr.arg = &lock;
	atomic_store(&refusals, 0);
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	/*
	 * The first range of thread 0 makes the lock try to split. Meanwhile thread 1 comes, so
	 * that the second range of thread 0 meets the first one of thread 1.
	 */
	visit(&lock, 2, 100);
	visit(&lock, 3, 200);
	CHECK_EQ(atomic_load(&leaf_at(&lock, 0)->score), RANGE__SCORE_DISJOINT);
	take_both_ends(&lock, 0);
	CHECK_EQ(atomic_load(&refusals), 1);
	CHECK_EQ(atomic_load(&leaf_at(&lock, 0)->score), 0);
	check_quiet_and_destroy(&lock);
}

/*
 * A leaf reaches its split threshold while the mutex is taken, and the lock tries to split it at
 * the next chance. By then both points where the last two ranges begin and end are bounds of the
 * leaf already: there is nothing to split.
 */
TEST(adaptation, a_leaf_is_not_split_at_its_own_bounds)
{
	for (int upper = 0; upper < 2; upper++) {
		struct range_lock lock;
		struct range_lock_stats before;
		struct range_hold last, range;

		init_lock(&lock, RANGE_FAIRNESS_BARGING, 64);
		make_leaves(&lock, 3);
		before = lock_stats(&lock);
		CHECK_EQ(leaves_below(&lock, 10), 1);
		range__short_lock(&range__lock(&lock)->mutex);
		alternate(&lock, 1, 8, 1000);
		play_thread(0);
		take(&lock, &last, upper ? 5 : 0, upper ? 10 : 5, RANGE_WRITE);
		range_unlock(&lock, &last);
		range__short_unlock(&range__lock(&lock)->mutex);
		/*
		 * This range begins at the lower bound; the last one ended at the upper bound, or
		 * within.
		 */
		play_thread(1);
		take(&lock, &range, 0, upper ? 8 : 10, RANGE_WRITE);
		CHECK_EQ(lock_stats(&lock).splits, before.splits);
		CHECK_EQ(lock_stats(&lock).leaves, before.leaves);
		range_unlock(&lock, &range);
		check_quiet_and_destroy(&lock);
	}
}
