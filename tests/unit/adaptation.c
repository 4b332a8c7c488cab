/* SPDX-License-Identifier: MIT */
/*
 * How the leaves follow a load that changes, and what that may cost. One real thread plays all
 * others.
 */
#include "actors.h"

#include "range_lock/forest.h"

#include <errno.h>

/* The test says when a sweep begins; otherwise it is one second after the last one. */
static void let_sweep(struct range_lock *lock)
{
	forest_of(lock)->swept_at = 0;
}

static void let_no_sweep_begin(struct range_lock *lock)
{
	forest_of(lock)->swept_at = now_ns();
}

/* How many leaves have only keys below end. */
static unsigned int leaves_below(struct range_lock *lock, uint64_t end)
{
	struct range__forest *forest = forest_of(lock);
	unsigned int n = 0;

	while (n + 1 < atomic_load(&forest->count) &&
	       atomic_load(&forest->entries[n + 1].lo) <= end)
		n++;
	return n;
}

/*
 * Leaves are swept as others want to be split. With so many keys they always do, as threads hardly
 * ever meet at one; and so many visits are more than it takes to sweep all leaves, two whenever the
 * patience of one is spent.
 */
enum { HOT_KEYS = 100000, SWEEP_VISITS = 100000 };

static void visit_hot_place(struct range_lock *lock, uint64_t base, unsigned int visits,
			    uint64_t *random)
{
	for (unsigned int i = 0; i < visits; i++) {
		unsigned int thread = (unsigned int)test_random_below(random, 2);

		visit(lock, thread, base + test_random_below(random, HOT_KEYS));
	}
}

TEST(adaptation, leaves_that_a_hot_place_left_behind_are_merged_in_a_few_sweeps)
{
	static const uint64_t base = 100000;
	uint64_t random = test_seed("adaptation/leaves_that_a_hot_place_left_behind_are_merged");
	struct range_lock lock;

	init_lock(&lock, RANGE_FAIRNESS_BARGING, 64);
	make_leaves(&lock, 60);
	/*
	 * The lowest leaf is cold, as all are but the last. The first sweep marks, the second
	 * merges.
	 */
	for (int sweeps = 0; sweeps < 4; sweeps++) {
		let_sweep(&lock);
		visit_hot_place(&lock, base, SWEEP_VISITS, &random);
		check_valid(&lock);
	}
	CHECK_EQ(leaves_below(&lock, base), 0);
	check_quiet_and_destroy(&lock);
}

TEST(adaptation, live_leaves_outlast_the_sweep_while_leaves_below_it_split)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	uint64_t low = 9000;

	/* [0, 10000) is one leaf, and there are some above. */
	for (uint64_t key = 10000; key < 10200; key += 10)
		alternate(&lock, key, key + 10, 8);
	alternate(&lock, 9999, 10000, 8);
	CHECK(lock_stats(&lock).leaves > 8);
	CHECK_EQ(lock_stats(&lock).merges, 0);
	for (uint64_t key = 10000; key < 10200; key += 5)
		visit(&lock, 0, key);

	let_sweep(&lock);
	for (int splits = 0; splits < 100; splits++, low -= 10) {
		alternate(&lock, low, low - 5, 8);
		CHECK(forest_of(&lock)->swept_at != 0);
		let_no_sweep_begin(&lock);
		CHECK_EQ(lock_stats(&lock).merges, 0);
	}
	CHECK(lock_stats(&lock).splits > 50);
	CHECK_EQ(forest_of(&lock)->sweep, UINT64_MAX);
	check_quiet_and_destroy(&lock);
}

/* Private places, and the full range again and again, until the lock has lost its patience. */
static void mix_with_full_ranges(struct range_lock *lock)
{
	struct range_hold range;

	for (int i = 0; i < 1000; i++) {
		alternate(lock, 100, 200, 64);
		for (int times = 0; times < 8; times++) {
			CHECK_EQ(range_lock(lock, &range, FULL, RANGE_WRITE), 0);
			range_unlock(lock, &range);
		}
	}
	CHECK(lock_stats(lock).merges > 2);
	CHECK_EQ(lock_stats(lock).leaves, 1);
}

TEST(adaptation, private_places_split_the_lock_again_after_a_phase_of_full_ranges)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;

	mix_with_full_ranges(&lock);
	alternate(&lock, 100, 200, 512);
	CHECK_EQ(lock_stats(&lock).leaves, 2);
	check_quiet_and_destroy(&lock);
}

TEST(adaptation, meeting_at_one_place_now_and_then_does_not_keep_private_places_together)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;

	mix_with_full_ranges(&lock);
	for (int i = 0; i < 40 && lock_stats(&lock).leaves == 1; i++) {
		alternate(&lock, 100, 200, 30);
		visit(&lock, 0, 300);
		visit(&lock, 1, 300);
	}
	CHECK(lock_stats(&lock).leaves > 1);
	check_quiet_and_destroy(&lock);
}

/* A try for a range that spans leaves, by a thread that holds nothing. */
static int try_full(struct range_lock *lock, struct range_hold *range, enum range_mode mode)
{
	play_thread(7);
	return range_trylock(lock, range, FULL, mode);
}

TEST(adaptation, a_try_that_fails_merges_nothing)
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
		/* Every leaf is as it was. */
		for (uint64_t key = 5; key < 100; key += 10)
			CHECK(is_free(&lock, key, key + 1, RANGE_WRITE));
		CHECK(!is_free(&lock, at * 10, at * 10 + 1, RANGE_WRITE));
		range_unlock(&lock, &held);
		check_quiet_and_destroy(&lock);
	}
}

TEST(adaptation, a_try_that_succeeds_merges_what_it_spans_and_holds_all_of_it)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold readers[4], range;

	make_leaves(&lock, 8);
	CHECK_EQ(try_full(&lock, &range, RANGE_WRITE), 0);
	CHECK_EQ(lock_stats(&lock).leaves, 1);
	for (uint64_t key = 0; key < 100; key += 5)
		CHECK(!is_free(&lock, key, key + 1, RANGE_READ));
	range_unlock(&lock, &range);

	/* Readers in several leaves are not in the way of another. */
	make_leaves(&lock, 8);
	for (uint64_t i = 0; i < 4; i++)
		take(&lock, &readers[i], i * 20, i * 20 + 1, RANGE_READ);
	CHECK_EQ(try_full(&lock, &range, RANGE_READ), 0);
	CHECK_EQ(lock_stats(&lock).leaves, 1);
	check_valid(&lock);
	for (int i = 0; i < 4; i++)
		range_unlock(&lock, &readers[i]);
	for (uint64_t key = 0; key < 100; key += 5) {
		CHECK(!is_free(&lock, key, key + 1, RANGE_WRITE));
		CHECK(is_free(&lock, key, key + 1, RANGE_READ));
	}
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

TEST(adaptation, memory_that_is_refused_is_asked_for_a_few_times_only)
{
	/*
	 * The first allocation fails, or the second one, for the leaf after those that came with
	 * the first.
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

/* An attempt to split starts the count of migrations again. */
static unsigned int attempts_to_split(struct range_lock *lock, uint64_t a, uint64_t b,
				      unsigned int visits)
{
	unsigned int attempts = 0;

	for (unsigned int i = 0; i < visits; i++) {
		struct range__leaf *leaf = range__index_find(lock, a);
		uint32_t before = atomic_load(&leaf->migrations);

		visit(lock, i % 2, i % 2 ? b : a);
		attempts += i > 0 && atomic_load(&leaf->migrations) < before + 1;
	}
	return attempts;
}

TEST(adaptation, with_all_leaves_in_use_splitting_is_tried_a_few_times_only)
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

/* What malloc() and free() may do. */
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

/* Every call that can end in one way or the other. */
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
	CHECK_EQ(lock_stats(lock).leaves, 1);
	range_unlock(lock, &range);
	CHECK_EQ(errno, ERANGE);
	CHECK_EQ(range_lock_destroy(lock), 0);
	CHECK_EQ(errno, ERANGE);
}

TEST(adaptation, errno_stays_as_it_was_whatever_the_memory_hooks_do)
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

/*
 * A leaf loses patience while the mutex is taken, and is split at the next chance. By then both points
 * where the last two ranges begin and end are bounds of the leaf already: there is nothing to split.
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
		CHECK_EQ(pthread_mutex_lock(&lock.mutex), 0);
		alternate(&lock, 1, 8, 1000);
		play_thread(0);
		take(&lock, &last, upper ? 5 : 0, upper ? 10 : 5, RANGE_WRITE);
		range_unlock(&lock, &last);
		CHECK_EQ(pthread_mutex_unlock(&lock.mutex), 0);
		/* It begins at the lower bound; the last one ended at the upper one, or within. */
		play_thread(1);
		take(&lock, &range, 0, upper ? 8 : 10, RANGE_WRITE);
		CHECK_EQ(lock_stats(&lock).splits, before.splits);
		CHECK_EQ(lock_stats(&lock).leaves, before.leaves);
		range_unlock(&lock, &range);
		check_quiet_and_destroy(&lock);
	}
}
