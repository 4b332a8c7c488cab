/* SPDX-License-Identifier: MIT */
/* How the lock adapts: the fast path, splits, merges, and the memory for them. */
#include "leaves.h"
#include "range_lock/leaf.h"

#include <errno.h>
#include <string.h>

/* Whether a held range was acquired by one swap, and can be released by one. */
static bool is_alone_in_its_leaf(struct range_hold *range)
{
	struct range__hold *hold = range__hold(range);

	return atomic_load(&hold->leaf[0]->word) == range__word_single(hold, range->mode);
}

/* Pitfall 9: FreeBSD's "cheat mode" never comes back. */
TEST(forest, the_fast_path_comes_back_after_a_conflict)
{
	for (int fair = 0; fair < 2; fair++) {
		struct range_lock lock;
		struct range_hold range, other;
		struct actor waiter;

		init_lock(&lock, fairnesses[fair], 8);
		take(&lock, &range, 0, 10, RANGE_WRITE);
		CHECK(is_alone_in_its_leaf(&range));

		/* A second range, a failed try, a waiter: none of them is alone in the leaf. */
		take(&lock, &other, 10, 20, RANGE_READ);
		CHECK(!is_alone_in_its_leaf(&range) && !is_alone_in_its_leaf(&other));
		range_unlock(&lock, &other);
		CHECK(!is_free(&lock, 5, 6, RANGE_WRITE));
		actor_queue(&waiter, &lock, 5, 20, RANGE_WRITE);
		range_unlock(&lock, &range);
		CHECK_EQ(actor_finish(&waiter), 0);

		for (int i = 0; i < 3; i++) {
			take(&lock, &range, 0, 10, i % 2 ? RANGE_READ : RANGE_WRITE);
			CHECK(is_alone_in_its_leaf(&range));
			range_unlock(&lock, &range);
		}
		check_quiet_and_destroy(&lock);
	}
}

TEST(forest, threads_with_private_places_split_the_lock_and_a_wide_range_keeps_it_split)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_lock_stats stats = lock_stats(&lock);
	struct range_hold a, b;

	CHECK(stats.leaves == 1 && stats.splits == 0 && stats.merges == 0 && stats.waits == 0);
	CHECK(split_by_turns(&lock, 1000, 2000, 100000));
	stats = lock_stats(&lock);
	CHECK(stats.splits >= 1);
	CHECK_EQ(stats.leaves, 1 + stats.splits - stats.merges);
	check_valid(&lock);

	/* Each range is alone now. */
	take(&lock, &a, 1000, 1001, RANGE_WRITE);
	take(&lock, &b, 2000, 2001, RANGE_WRITE);
	CHECK(is_alone_in_its_leaf(&a) && is_alone_in_its_leaf(&b));
	CHECK(!is_free(&lock, 1000, 2001, RANGE_READ));
	CHECK(!is_free(&lock, 2000, 2001, RANGE_READ));
	CHECK(is_free(&lock, 1001, 2000, RANGE_WRITE));
	check_valid(&lock);
	range_unlock(&lock, &a);
	range_unlock(&lock, &b);

	take(&lock, &a, FULL, RANGE_READ);
	CHECK_EQ(lock_stats(&lock).merges, 0);
	CHECK_EQ(lock_stats(&lock).leaves, stats.leaves);
	check_valid(&lock);
	range_unlock(&lock, &a);
	check_quiet_and_destroy(&lock);
}

static uint64_t word_at(struct range_lock *lock, uint64_t key, struct range__leaf **leaf)
{
	struct range_hold range;
	uint64_t word;

	take(lock, &range, key, key + 1, RANGE_WRITE);
	*leaf = range__hold(&range)->leaf[0];
	range_unlock(lock, &range);
	word = atomic_load(&(*leaf)->word);
	CHECK_EQ(word & WORD_TAG, WORD_EMPTY);
	return word;
}

/*
 * LEAF-R2: a thread that has read the word of an empty leaf, and then its bounds, swaps that word
 * for its own range. If the bounds changed in between, the swap must fail: no word may come back
 * under other bounds.
 */
TEST(forest, the_word_of_an_empty_leaf_changes_with_its_bounds)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range__leaf *first, *last, *again;
	uint64_t words[5];

	words[0] = word_at(&lock, 0, &first);
	CHECK_EQ(word_at(&lock, 0, &again), words[0]);
	CHECK(again == first);
	make_far_leaves(&lock);
	split_leaf(&lock, 1500);
	words[1] = word_at(&lock, 0, &first);
	words[2] = word_at(&lock, 2000, &last);
	CHECK(first != last);
	/* Merged and split again: the leaf had other bounds in between, or another address now. */
	merge_leaf(&lock, 2000);
	CHECK(word_at(&lock, 2000, &again) != words[1] && again == first);
	words[3] = atomic_load(&last->word);
	CHECK(words[3] != words[2]);
	split_leaf(&lock, 1500);
	words[4] = word_at(&lock, 2000, &again);
	CHECK(again == last && words[4] != words[2] && words[4] != words[3]);
	CHECK(word_at(&lock, 0, &again) != words[1] && again == first);
	CHECK(atomic_load(&first->word) != words[0]);
	check_quiet_and_destroy(&lock);
}

TEST(forest, max_leaves_is_respected)
{
	for (uint32_t max = 1; max <= 4; max++) {
		struct range_lock lock;

		uint64_t most = 0;

		init_lock(&lock, RANGE_FAIRNESS_BARGING, max);
		for (uint64_t place = 0; place < 8; place++) {
			bool split = split_by_turns(&lock, place * 100, place * 100 + 50, 2000);
			struct range_lock_stats stats = lock_stats(&lock);

			if (place == 0)
				CHECK_EQ(split, max > 1);
			if (stats.leaves > most)
				most = stats.leaves;
			CHECK_EQ(stats.leaves, 1 + stats.splits - stats.merges);
			check_valid(&lock);
		}
		CHECK_EQ(most, max);
		check_quiet_and_destroy(&lock);
	}
}

TEST(forest, leaves_that_no_thread_uses_any_more_are_merged)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;

	/*
	 * New places all the time. Ranges of one key never span leaves, so only the sweep of cold
	 * leaves merges. The watchdog reports a loop that does not end.
	 */
	for (uint64_t place = 0; lock_stats(&lock).merges == 0; place += 100)
		split_by_turns(&lock, place, place + 50, 100);
	check_quiet_and_destroy(&lock);
}

TEST(forest, the_lock_allocates_at_the_first_split_and_frees_at_the_end)
{
	struct range_lock lock;
	struct range_lock_attr attr;
	struct memory_books books;
	struct range_hold ranges[50];
	struct actor waiter;

	range_lock_attr_init(&attr);
	use_memory_books(&attr, &books, UINT32_MAX);
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	for (int i = 0; i < 50; i++)
		take(&lock, &ranges[i], (uint64_t)i, (uint64_t)i + 1, RANGE_WRITE);
	actor_queue(&waiter, &lock, 0, 50, RANGE_READ);
	for (int i = 0; i < 50; i++)
		range_unlock(&lock, &ranges[i]);
	CHECK_EQ(actor_finish(&waiter), 0);
	CHECK_EQ(atomic_load(&books.allocations), 0);

	for (uint64_t place = 0; place < 100; place++)
		split_by_turns(&lock, place * 10, place * 10 + 5, 100);
	CHECK(lock_stats(&lock).splits > 31);
	CHECK(atomic_load(&books.allocations) > 0);
	CHECK(is_free(&lock, FULL, RANGE_WRITE));
	CHECK_EQ(atomic_load(&books.frees), 0);
	check_quiet_and_destroy(&lock);
	check_memory_balanced(&books);
}

TEST(forest, without_memory_the_lock_stays_one_leaf_and_works)
{
	struct range_lock lock;
	struct range_lock_attr attr;
	struct memory_books books;

	range_lock_attr_init(&attr);
	use_memory_books(&attr, &books, 0);
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	CHECK(!split_by_turns(&lock, 100, 200, test_scale(2000)));
	CHECK(atomic_load(&books.refused) > 0);
	CHECK_EQ(lock_stats(&lock).leaves, 1);
	CHECK(is_free(&lock, FULL, RANGE_WRITE));
	check_valid(&lock);

	/* The lock splits once there is memory again. */
	atomic_store(&books.grants, UINT32_MAX);
	CHECK(split_by_turns(&lock, 100, 200, 100000));
	check_quiet_and_destroy(&lock);
	check_memory_balanced(&books);
}

TEST(forest, a_lock_that_runs_out_of_memory_keeps_the_leaves_it_has)
{
	/* The number of allocations that succeed before the first that fails. */
	for (unsigned int grants = 1; grants < 4; grants++) {
		struct range_lock lock;
		struct range_lock_attr attr;
		struct memory_books books;

		range_lock_attr_init(&attr);
		use_memory_books(&attr, &books, grants);
		CHECK_EQ(range_lock_init(&lock, &attr), 0);
		for (uint64_t place = 0; place < 300 && !atomic_load(&books.refused); place++) {
			split_by_turns(&lock, place * 10, place * 10 + 5, 100);
			check_valid(&lock);
		}
		CHECK(atomic_load(&books.refused) > 0);
		CHECK(is_free(&lock, FULL, RANGE_WRITE));
		/* The contract: only range_lock_destroy() calls free. */
		CHECK_EQ(atomic_load(&books.frees), 0);
		check_quiet_and_destroy(&lock);
		check_memory_balanced(&books);
	}
}

/*
 * Threads hand a baton around. The thread with the baton takes or releases one range of a shared
 * pool, or tries to, and hands the baton on. So the outcome of each step is known. For the lock,
 * the ranges belong to threads that work all over the key space, so it splits and merges.
 */
enum { BATON_THREADS = 4, BATON_POOL = 24, BATON_KEYS = 32 };

struct baton {
	struct range_lock lock;
	struct range_hold pool[BATON_POOL];
	bool held[BATON_POOL];
	uint64_t state;
	unsigned int steps;
	sem_t turn[BATON_THREADS];
	struct range_lock_stats sum;
};

struct baton_runner {
	struct baton *baton;
	int number;
};

static bool conflicts_with_held(const struct baton *baton, uint64_t start, uint64_t end,
				enum range_mode mode)
{
	for (int i = 0; i < BATON_POOL; i++) {
		const struct range_hold *range = &baton->pool[i];

		if (baton->held[i] && (mode == RANGE_WRITE || range->mode == RANGE_WRITE) &&
		    start <= range->end - 1 && range->start <= end - 1)
			return true;
	}
	return false;
}

static void baton_step(struct baton *baton)
{
	int i = (int)test_random_below(&baton->state, BATON_POOL);
	uint64_t start = test_random_below(&baton->state, BATON_KEYS);
	uint64_t end = start + 1;
	enum range_mode mode = test_random_below(&baton->state, 2) ? RANGE_READ : RANGE_WRITE;

	if (baton->held[i]) {
		range_unlock(&baton->lock, &baton->pool[i]);
		baton->held[i] = false;
		return;
	}
	if (test_random_below(&baton->state, 16) == 0)
		end += test_random_below(&baton->state, BATON_KEYS);
	if (conflicts_with_held(baton, start, end, mode)) {
		CHECK_EQ(range_trylock(&baton->lock, &baton->pool[i], start, end, mode), EBUSY);
		return;
	}
	CHECK_EQ(acquire_somehow(i % 3, &baton->lock, &baton->pool[i], start, end, mode), 0);
	baton->held[i] = true;
}

static void *run_with_baton(void *arg)
{
	struct baton_runner *runner = arg;
	struct baton *baton = runner->baton;

	for (;;) {
		sem_await(&baton->turn[runner->number]);
		if (!baton->steps)
			break;
		baton->steps--;
		/* Lets sweeps come as early as possible. */
		if (forest_of(&baton->lock))
			atomic_store(&forest_of(&baton->lock)->sweep_due, 0);
		baton_step(baton);
		check_valid(&baton->lock);
		sem_post(&baton->turn[test_random_below(&baton->state, BATON_THREADS)]);
	}
	for (int i = 0; i < BATON_THREADS; i++)
		sem_post(&baton->turn[i]);
	return NULL;
}

static void pass_the_baton(struct baton *baton, enum range_fairness fairness, uint32_t max_leaves)
{
	struct baton_runner runners[BATON_THREADS];
	pthread_t threads[BATON_THREADS];
	struct range_lock_stats stats;

	init_lock(&baton->lock, fairness, max_leaves);
	baton->steps = 500;
	memset(baton->held, 0, sizeof baton->held);
	for (int i = 0; i < BATON_THREADS; i++)
		CHECK_EQ(sem_init(&baton->turn[i], 0, !i), 0);
	for (int i = 0; i < BATON_THREADS; i++) {
		runners[i].baton = baton;
		runners[i].number = i;
		threads[i] = thread_start(run_with_baton, &runners[i]);
	}
	for (int i = 0; i < BATON_THREADS; i++)
		thread_join(threads[i]);
	for (int i = 0; i < BATON_THREADS; i++)
		sem_destroy(&baton->turn[i]);
	for (int i = 0; i < BATON_POOL; i++)
		if (baton->held[i])
			range_unlock(&baton->lock, &baton->pool[i]);
	stats = lock_stats(&baton->lock);
	CHECK_EQ(stats.waits, 0);
	CHECK(stats.leaves <= max_leaves);
	baton->sum.splits += stats.splits;
	baton->sum.merges += stats.merges;
	check_quiet_and_destroy(&baton->lock);
}

TEST(forest, trylock_agrees_with_brute_force_on_any_thread)
{
	static const uint32_t max_leaves[] = { 1, 2, 3, 1024 };
	static struct baton baton;
	unsigned int rounds = test_scale(40);

	baton.state = test_seed("forest/trylock_agrees_with_brute_force_on_any_thread");
	for (unsigned int i = 0; i < rounds; i++)
		for (int k = 0; k < 4; k++)
			pass_the_baton(&baton, fairnesses[i % 2], max_leaves[k]);
	fprintf(stderr, "%" PRIu64 " splits, %" PRIu64 " merges\n", baton.sum.splits,
		baton.sum.merges);
	CHECK(baton.sum.splits > 0 && baton.sum.merges > 0);
}
