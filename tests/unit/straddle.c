/* SPDX-License-Identifier: MIT */
/*
 * Ranges that overlap several leaves: held, waited for, claimed or published, beside splits and
 * merges. The leaves are [0, 10), [10, 20), ..
 */
#include "leaves.h"

#include "range_lock/bounds.h"
#include "range_lock/claim.h"
#include "range_lock/reader.h"
#include "range_lock/release.h"
#include "range_lock/wait.h"
#include "range_lock/wait_tree.h"

#include <errno.h>
#include <string.h>

enum { LEAVES = 8, KEYS = 10 * LEAVES };

static void init_with(struct range_lock *lock, enum range_fairness fairness, uint64_t starvation_ns)
{
	struct range_lock_attr attr;

	range_lock_attr_init(&attr);
	attr.fairness = fairness;
	attr.max_leaves = 64;
	attr.starvation_ns = starvation_ns;
	CHECK_EQ(range_lock_init(lock, &attr), 0);
	make_far_leaves(lock);
	for (uint64_t key = KEYS; key > 0; key -= 10)
		split_leaf(lock, key);
}

static void begin(struct range_lock *lock, enum range_fairness fairness)
{
	init_with(lock, fairness, 500000);
}

static uint64_t word_at(struct range_lock *lock, uint64_t key)
{
	return atomic_load(&leaf_at(lock, key)->word);
}

static uint64_t single_word(struct range_hold *range)
{
	return range__word_single(range__hold(range), range->mode);
}

static uint32_t claims_at(struct range_lock *lock, uint64_t key)
{
	struct range__leaf *leaf = leaf_at(lock, key);
	uint32_t n;

	range__leaf_lock(leaf);
	n = leaf->nr_claims;
	range__leaf_unlock(leaf, NULL);
	return n;
}

static uint32_t claims_in(struct range_lock *lock)
{
	uint32_t n = 0;

	for (uint64_t key = 0; key < KEYS; key += 10)
		n += claims_at(lock, key);
	return n;
}

/* Exactly [start, end) is held, in that mode. */
static void check_free(struct range_lock *lock, uint64_t start, uint64_t end, enum range_mode held)
{
	for (uint64_t key = 0; key < KEYS; key++) {
		bool inside = start <= key && key < end;

		CHECK_EQ(is_free(lock, key, key + 1, RANGE_WRITE), !inside);
		CHECK_EQ(is_free(lock, key, key + 1, RANGE_READ), !inside || held == RANGE_READ);
	}
}

static void check_held(struct range_lock *lock, uint64_t start, uint64_t end, enum range_mode mode)
{
	check_valid(lock);
	check_free(lock, start, end, mode);
	check_valid(lock);
}

TEST(straddle, a_range_over_any_number_of_leaves_is_held_in_exactly_these)
{
	for (int how = 0; how < 6; how++) {
		enum range_mode mode = how / 3 ? RANGE_READ : RANGE_WRITE;
		struct range_lock lock;

		begin(&lock, fairnesses[how % 2]);
		for (uint64_t n = 2; n <= LEAVES; n++) {
			uint64_t start = n == LEAVES ? 0 : 7, end = start + 10 * (n - 1) + 3;
			struct range_hold range;

			CHECK_EQ(acquire_somehow(how % 3, &lock, &range, start, end, mode), 0);
			check_held(&lock, start, end, mode);
			range_unlock(&lock, &range);
			check_held(&lock, 0, 0, mode);
		}
		CHECK_EQ(lock_stats(&lock).merges, 0);
		check_quiet_and_destroy(&lock);
	}
}

TEST(straddle, a_range_that_ends_at_a_bound_does_not_touch_the_next_leaf)
{
	struct range_lock lock;
	struct range_hold range, next;

	begin(&lock, RANGE_FAIRNESS_BARGING);
	take(&lock, &range, 5, 20, RANGE_WRITE);
	CHECK_EQ(word_at(&lock, 20) & WORD_TAG, WORD_EMPTY);
	take(&lock, &next, 20, 35, RANGE_WRITE);
	CHECK_EQ(word_at(&lock, 10), single_word(&range));
	CHECK_EQ(word_at(&lock, 20), single_word(&next));
	range_unlock(&lock, &range);
	range_unlock(&lock, &next);
	check_quiet_and_destroy(&lock);
}

TEST(straddle, two_empty_leaves_keep_a_range_in_their_words_and_get_the_old_words_back)
{
	struct range_lock lock;
	struct range_hold range, third;
	uint64_t words[2];

	begin(&lock, RANGE_FAIRNESS_BARGING);
	words[0] = word_at(&lock, 10);
	words[1] = word_at(&lock, 20);
	for (int disturbed = 0; disturbed < 4; disturbed++) {
		take(&lock, &range, 15, 25, disturbed % 2 ? RANGE_READ : RANGE_WRITE);
		CHECK_EQ(word_at(&lock, 10), single_word(&range));
		CHECK_EQ(word_at(&lock, 20), single_word(&range));
		/*
		 * Another range in the first leaf, or in the second: that leaf records the range.
		 */
		if (disturbed) {
			uint64_t key = disturbed == 1 ? 12 : 28;

			take(&lock, &third, key, key + 1, RANGE_WRITE);
			CHECK_EQ(word_at(&lock, disturbed == 1 ? 10 : 20), WORD_TREE);
			if (disturbed < 3)
				range_unlock(&lock, &third);
		}
		range_unlock(&lock, &range);
		if (disturbed == 3)
			range_unlock(&lock, &third);
		CHECK_EQ(word_at(&lock, 10), words[0]);
		CHECK_EQ(word_at(&lock, 20), words[1]);
	}
	check_quiet_and_destroy(&lock);
}

TEST(straddle, writers_and_readers_of_several_leaves_exclude_each_other_where_they_overlap)
{
	struct range_lock lock;
	struct range_hold low, high, top;

	begin(&lock, RANGE_FAIRNESS_BARGING);
	take(&lock, &low, 5, 45, RANGE_READ);
	take(&lock, &high, 25, 65, RANGE_READ);
	take(&lock, &top, 65, 79, RANGE_WRITE);
	check_valid(&lock);
	for (uint64_t key = 5; key < 65; key++)
		CHECK(!is_free(&lock, key, key + 1, RANGE_WRITE));
	CHECK(is_free(&lock, 0, 65, RANGE_READ) && !is_free(&lock, 0, 66, RANGE_READ));
	CHECK_EQ(range_tryupgrade(&lock, &low), EBUSY);
	range_unlock(&lock, &high);
	CHECK_EQ(range_tryupgrade(&lock, &low), 0);
	check_valid(&lock);
	CHECK(!is_free(&lock, 0, 15, RANGE_READ) && is_free(&lock, 45, 65, RANGE_WRITE));
	range_downgrade(&lock, &low);
	CHECK(is_free(&lock, 0, 65, RANGE_READ));
	range_unlock(&lock, &low);
	range_unlock(&lock, &top);
	check_quiet_and_destroy(&lock);
}

/* Whether the actor is in the queue of the leaf that contains key. */
static bool stands_at(struct range_lock *lock, struct actor *actor, uint64_t key)
{
	struct range__leaf *leaf = leaf_at(lock, key);
	bool stands;

	range__leaf_lock(leaf);
	stands = range__waiters_with(leaf->waiters, range__hold(&actor->range));
	range__leaf_unlock(leaf, NULL);
	return stands;
}

/* The waiter waits in one leaf after the other, whichever is released first. */
TEST(straddle, a_waiter_waits_for_every_conflicting_range_in_any_of_its_leaves)
{
	for (unsigned int order = 0; order < 6; order++) {
		for (int fair = 0; fair < 2; fair++) {
			unsigned int first = order % 3, second = (first + 1 + order / 3) % 3;
			unsigned int last = 3 - first - second;
			struct range_hold held[3];
			struct range_lock lock;
			struct actor waiter;

			begin(&lock, fairnesses[fair]);
			for (unsigned int i = 0; i < 3; i++)
				take(&lock, &held[i], 20 * i + 7, 20 * i + 8, RANGE_READ);
			actor_queue(&waiter, &lock, 5, 55, RANGE_WRITE);
			check_valid(&lock);
			CHECK_EQ(claims_in(&lock), fair ? 6 : 0);
			range_unlock(&lock, &held[first]);
			check_valid(&lock);
			range_unlock(&lock, &held[second]);
			check_valid(&lock);
			AWAIT(stands_at(&lock, &waiter, 20 * last));
			CHECK(!actor_holds(&waiter));
			range_unlock(&lock, &held[last]);
			actor_await(&waiter);
			check_held(&lock, 5, 55, RANGE_WRITE);
			CHECK_EQ(actor_finish(&waiter), 0);
			check_quiet_and_destroy(&lock);
		}
	}
}

/* Its own thread moves it: no waiter behind it in the first queue stays asleep. */
TEST(straddle, a_waiter_that_moves_to_another_queue_wakes_the_waiters_behind_it)
{
	struct range_lock lock;
	struct range_hold low, high;
	struct actor wide, behind;

	begin(&lock, RANGE_FAIRNESS_BARGING);
	range__lock(&lock)->starvation_more_ns = UINT64_MAX / 2;
	take(&lock, &low, 5, 6, RANGE_WRITE);
	take(&lock, &high, 25, 26, RANGE_WRITE);
	actor_queue(&wide, &lock, 5, 26, RANGE_WRITE);
	actor_queue(&behind, &lock, 5, 6, RANGE_WRITE);
	CHECK(stands_at(&lock, &wide, 0));
	range_unlock(&lock, &low);
	actor_await(&behind);
	CHECK(!actor_holds(&wide));
	check_valid(&lock);
	range_unlock(&lock, &high);
	CHECK_EQ(actor_finish(&behind), 0);
	CHECK_EQ(actor_finish(&wide), 0);
	check_quiet_and_destroy(&lock);
}

static bool conflict(const struct actor *a, const struct actor *b)
{
	return (a->mode == RANGE_WRITE || b->mode == RANGE_WRITE) && a->start < b->end &&
	       b->start < a->end;
}

/* Behind a full range, so that each waiter has its place before the first is granted. */
static void check_fifo(struct range_lock *lock, uint64_t *random)
{
	enum { CROWD = 12 };
	static struct actor crowd[CROWD];
	struct range_hold full;

	take(lock, &full, FULL, RANGE_WRITE);
	for (unsigned int i = 0; i < CROWD; i++) {
		uint64_t start = test_random_below(random, KEYS - 1);
		uint64_t end = start + 1 + test_random_below(random, KEYS - start);
		bool writer = test_random_below(random, 2);

		actor_queue(&crowd[i], lock, start, end, writer ? RANGE_WRITE : RANGE_READ);
	}
	check_valid(lock);
	range_unlock(lock, &full);
	check_valid(lock);
	for (unsigned int i = 0; i < CROWD; i++)
		actor_let_go(&crowd[i]);
	for (unsigned int i = 0; i < CROWD; i++)
		CHECK_EQ(actor_finish(&crowd[i]), 0);
	for (unsigned int i = 0; i < CROWD; i++)
		for (unsigned int k = 0; k < i; k++)
			CHECK(!conflict(&crowd[k], &crowd[i]) || crowd[k].turn < crowd[i].turn);
}

TEST(straddle, with_fifo_conflicting_ranges_are_granted_in_order_across_leaves)
{
	uint64_t random = test_seed("straddle/with_fifo");
	struct range_lock lock;

	begin(&lock, RANGE_FAIRNESS_FIFO);
	for (unsigned int i = 0; i < test_scale(200); i++) {
		check_fifo(&lock, &random);
		CHECK_EQ(claims_in(&lock), 0);
	}
	check_quiet_and_destroy(&lock);
}

/*
 * The first waiter is in the queue of the first leaf; the others, in later leaves, wait only for
 * it.
 */
TEST(straddle, with_fifo_no_newcomer_passes_a_waiter_in_any_of_its_leaves)
{
	struct range_lock lock;
	struct range_hold held, beside;
	struct actor wide, others[3];

	begin(&lock, RANGE_FAIRNESS_FIFO);
	take(&lock, &held, 5, 6, RANGE_READ);
	actor_queue(&wide, &lock, 5, 35, RANGE_WRITE);
	CHECK_EQ(claims_in(&lock), 4);
	check_valid(&lock);
	for (uint64_t key = 5; key < 35; key++)
		CHECK(!is_free(&lock, key, key + 1, RANGE_READ));
	take(&lock, &beside, 35, 75, RANGE_WRITE);
	range_unlock(&lock, &beside);
	CHECK(is_free(&lock, 0, 5, RANGE_WRITE));
	for (unsigned int i = 0; i < 3; i++)
		actor_queue(&others[i], &lock, 10 * i + 12, 10 * i + 13, RANGE_READ);
	actor_let_go(&wide);
	range_unlock(&lock, &held);
	CHECK_EQ(actor_finish(&wide), 0);
	for (unsigned int i = 0; i < 3; i++) {
		CHECK_EQ(actor_finish(&others[i]), 0);
		CHECK(wide.turn < others[i].turn);
	}
	check_quiet_and_destroy(&lock);
}

/* Ranges come and go in the waiter's leaf until it is starving. */
static void starve(struct range_lock *lock, struct actor *actor, uint64_t key)
{
	AWAIT(is_free(lock, key, key + 1, RANGE_WRITE) && claims_at(lock, actor->end - 1) > 0);
}

TEST(straddle, no_newcomer_passes_a_starving_waiter_in_any_of_its_leaves)
{
	for (int by = 0; by < 3; by++) {
		struct range_lock lock;
		struct range_hold held;
		struct actor wide, reader;

		init_with(&lock, RANGE_FAIRNESS_BARGING, 0);
		take(&lock, &held, 5, 6, RANGE_READ);
		actor_queue(&wide, &lock, 5, 35, RANGE_WRITE);
		starve(&lock, &wide, 1);
		check_valid(&lock);
		CHECK_EQ(claims_in(&lock), 4);
		for (uint64_t key = 5; key < 35; key++)
			CHECK(!is_free(&lock, key, key + 1, RANGE_READ));
		CHECK(!is_free(&lock, 34, 70, RANGE_READ));
		CHECK(is_free(&lock, 35, 70, RANGE_WRITE));
		actor_queue(&reader, &lock, 33, 34, RANGE_READ);
		if (by == 0) {
			range_unlock(&lock, &held);
			CHECK_EQ(actor_finish(&wide), 0);
		} else {
			CHECK_EQ(range_cancel(&lock, &wide.range), 0);
			CHECK_EQ(actor_finish(&wide), ECANCELED);
			actor_await(&reader);
			range_unlock(&lock, &held);
		}
		CHECK_EQ(actor_finish(&reader), 0);
		CHECK_EQ(claims_in(&lock), 0);
		check_quiet_and_destroy(&lock);
	}
}

/* A starving reader of several leaves does not hold readers back. */
TEST(straddle, a_starving_reader_of_several_leaves_holds_back_writers_but_not_readers)
{
	struct range_lock lock;
	struct range_hold held;
	struct actor wide;

	init_with(&lock, RANGE_FAIRNESS_BARGING, 0);
	make_biased(&lock, 35);
	take(&lock, &held, 5, 6, RANGE_WRITE);
	actor_queue(&wide, &lock, 5, 40, RANGE_READ);
	starve(&lock, &wide, 1);
	CHECK(is_free(&lock, 12, 39, RANGE_READ));
	for (uint64_t key = 5; key < 40; key++)
		CHECK(!is_free(&lock, key, key + 1, RANGE_WRITE));
	check_valid(&lock);
	range_unlock(&lock, &held);
	CHECK_EQ(actor_finish(&wide), 0);
	check_quiet_and_destroy(&lock);
}

static void check_expelled(struct range_lock *lock, struct actor *wide, struct range_hold *held)
{
	struct actor behind[4];
	/* In the reader's queue; in leaves that it claims; straddling its end. */
	static const uint64_t ranges[4][2] = { { 7, 8 }, { 15, 16 }, { 28, 33 }, { 34, 75 } };

	CHECK_EQ(claims_in(lock), 4);
	for (unsigned int i = 0; i < 4; i++)
		actor_queue(&behind[i], lock, ranges[i][0], ranges[i][1], RANGE_WRITE);
	check_valid(lock);
	if (!wide->deadline)
		CHECK_EQ(range_cancel(lock, &wide->range), 0);
	CHECK_EQ(actor_finish(wide), wide->deadline ? ETIMEDOUT : ECANCELED);
	for (unsigned int i = 0; i < 4; i++)
		actor_await(&behind[i]);
	CHECK_EQ(claims_in(lock), 0);
	check_valid(lock);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(actor_finish(&behind[i]), 0);
	range_unlock(lock, held);
}

TEST(straddle, a_claiming_waiter_that_is_canceled_or_late_gives_up_its_claims)
{
	for (int timed = 0; timed < 2; timed++) {
		struct range_lock lock;
		struct range_hold held;
		struct actor wide;

		begin(&lock, RANGE_FAIRNESS_FIFO);
		take(&lock, &held, 5, 6, RANGE_READ);
		if (timed)
			actor_queue_timed(&wide, &lock, 5, 35, RANGE_WRITE,
					  test_scale(10) == 10 ? SECOND : 4 * SECOND);
		else
			actor_queue(&wide, &lock, 5, 35, RANGE_WRITE);
		check_expelled(&lock, &wide, &held);
		check_quiet_and_destroy(&lock);
	}
}

struct many {
	struct range_lock *lock;
	struct range_hold range[4];
	struct range_request requests[4];
	const struct timespec *deadline;
	int result;
};

static void *lock_many(void *arg)
{
	struct many *many = arg;

	if (many->deadline)
		many->result = range_timedlock_many(many->lock, many->requests, 4, CLOCK_MONOTONIC,
						    many->deadline);
	else
		many->result = range_lock_many(many->lock, many->requests, 4);
	return NULL;
}

/* Two ranges in one leaf, one over three leaves, and one that begins where that one ends. */
static void make_many(struct many *many, struct range_lock *lock)
{
	static const uint64_t bounds[4][2] = { { 2, 4 }, { 6, 8 }, { 18, 35 }, { 35, 55 } };

	*many = (struct many){ .lock = lock };
	for (unsigned int i = 0; i < 4; i++)
		many->requests[i] = (struct range_request){ &many->range[i], bounds[i][0],
							    bounds[i][1], RANGE_WRITE };
}

static void check_many_held(struct many *many)
{
	for (unsigned int i = 0; i < 4; i++) {
		CHECK(!is_free(many->lock, many->requests[i].start, many->requests[i].start + 1,
			       RANGE_READ));
		CHECK(!is_free(many->lock, many->requests[i].end - 1, many->requests[i].end,
			       RANGE_READ));
	}
	CHECK(is_free(many->lock, 4, 6, RANGE_WRITE) && is_free(many->lock, 8, 18, RANGE_WRITE) &&
	      is_free(many->lock, 55, 70, RANGE_WRITE));
	check_valid(many->lock);
	for (unsigned int i = 0; i < 4; i++)
		range_unlock(many->lock, &many->range[i]);
}

static const uint64_t in_the_way[] = { 3, 7, 19, 25, 34, 40, 54 };
enum { NR_IN_THE_WAY = sizeof in_the_way / sizeof in_the_way[0] };

TEST(straddle, canceling_any_range_of_a_set_ends_the_wait_in_whichever_leaf_it_waits)
{
	for (int how = 0; how < NR_IN_THE_WAY * 4; how++) {
		uint64_t key = in_the_way[how / 4];
		struct range_lock lock;
		struct range_hold held;
		struct many many;
		pthread_t thread;

		begin(&lock, fairnesses[how % 2]);
		make_many(&many, &lock);
		take(&lock, &held, key, key + 1, RANGE_READ);
		CHECK_EQ(range_trylock_many(&lock, many.requests, 4), EBUSY);
		thread = thread_start(lock_many, &many);
		AWAIT(lock_stats(&lock).waits > 0);
		check_valid(&lock);
		CHECK_EQ(range_cancel(&lock, &held), ESRCH);
		CHECK_EQ(range_cancel(&lock, &many.range[how % 4]), 0);
		thread_join(thread);
		CHECK_EQ(many.result, ECANCELED);
		CHECK_EQ(claims_in(&lock), 0);
		check_held(&lock, key, key + 1, RANGE_READ);
		range_unlock(&lock, &held);
		CHECK_EQ(range_trylock_many(&lock, many.requests, 4), 0);
		check_many_held(&many);
		check_quiet_and_destroy(&lock);
	}
}

TEST(straddle, a_set_waits_for_each_of_its_obstacles_or_until_its_deadline)
{
	for (int how = 0; how < 4; how++) {
		struct timespec deadline = time_after(CLOCK_MONOTONIC, SECOND / 50);
		struct range_hold held[NR_IN_THE_WAY];
		struct range_lock lock;
		struct many many;
		pthread_t thread;

		begin(&lock, fairnesses[how % 2]);
		make_many(&many, &lock);
		many.deadline = how / 2 ? &deadline : NULL;
		for (unsigned int i = 0; i < NR_IN_THE_WAY; i++)
			take(&lock, &held[i], in_the_way[i], in_the_way[i] + 1, RANGE_READ);
		thread = thread_start(lock_many, &many);
		if (many.deadline)
			thread_join(thread);
		else
			AWAIT(lock_stats(&lock).waits > 0);
		for (unsigned int i = 0; i < NR_IN_THE_WAY; i++) {
			check_valid(&lock);
			range_unlock(&lock, &held[i]);
		}
		if (!many.deadline)
			thread_join(thread);
		CHECK_EQ(many.result, many.deadline ? ETIMEDOUT : 0);
		CHECK_EQ(claims_in(&lock), 0);
		if (!many.result)
			check_many_held(&many);
		check_quiet_and_destroy(&lock);
	}
}

/* A thread that acquires a set, notes its turn, and releases it. */
struct member {
	struct range_lock *lock;
	struct range_hold range[3];
	struct range_request requests[3];
	size_t n;
	pthread_t thread;
	unsigned int turn;
};

static atomic_uint turns;

static void *be_member(void *arg)
{
	struct member *member = arg;

	CHECK_EQ(range_lock_many(member->lock, member->requests, member->n), 0);
	member->turn = atomic_fetch_add(&turns, 1);
	for (size_t i = 0; i < member->n; i++)
		range_unlock(member->lock, &member->range[i]);
	return NULL;
}

/* One to three ranges, in any leaves. */
static void make_member(struct member *member, struct range_lock *lock, uint64_t *random)
{
	uint64_t key = test_random_below(random, KEYS / 2);

	member->lock = lock;
	member->n = 1 + test_random_below(random, 3);
	for (size_t i = 0; i < member->n; i++) {
		uint64_t end = key + 1 + test_random_below(random, 15);

		member->requests[i] =
			(struct range_request){ &member->range[i], key, end,
						test_random_below(random, 2) ? RANGE_WRITE
									     : RANGE_READ };
		key = end + test_random_below(random, 15);
	}
}

static bool members_conflict(const struct member *a, const struct member *b)
{
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < b->n; k++) {
			const struct range_request *x = &a->requests[i], *y = &b->requests[k];

			if ((x->mode == RANGE_WRITE || y->mode == RANGE_WRITE) &&
			    x->start < y->end && y->start < x->end)
				return true;
		}
	return false;
}

TEST(straddle, with_fifo_sets_are_granted_in_order_across_leaves)
{
	enum { CROWD = 10 };
	static struct member crowd[CROWD];
	uint64_t random = test_seed("straddle/with_fifo_sets");
	struct range_lock lock;

	begin(&lock, RANGE_FAIRNESS_FIFO);
	for (unsigned int round = 0; round < test_scale(200); round++) {
		uint64_t waits = lock_stats(&lock).waits;
		struct range_hold full;

		take(&lock, &full, FULL, RANGE_WRITE);
		for (unsigned int i = 0; i < CROWD; i++) {
			make_member(&crowd[i], &lock, &random);
			crowd[i].thread = thread_start(be_member, &crowd[i]);
			AWAIT(lock_stats(&lock).waits == waits + i + 1);
		}
		check_valid(&lock);
		range_unlock(&lock, &full);
		for (unsigned int i = 0; i < CROWD; i++)
			thread_join(crowd[i].thread);
		for (unsigned int i = 0; i < CROWD; i++)
			for (unsigned int k = 0; k < i; k++)
				CHECK(!members_conflict(&crowd[k], &crowd[i]) ||
				      crowd[k].turn < crowd[i].turn);
		CHECK_EQ(claims_in(&lock), 0);
	}
	check_quiet_and_destroy(&lock);
}

TEST(straddle, leaves_split_and_merge_beside_a_range_held_over_their_bounds)
{
	for (int mode = 0; mode < 2; mode++) {
		struct range_lock lock;
		struct range_hold wide, full;

		begin(&lock, RANGE_FAIRNESS_BARGING);
		take(&lock, &wide, 15, 45, (enum range_mode)mode);
		/* The first leaf and the last one lose the part that the range does not overlap. */
		split_leaf(&lock, 13);
		split_leaf(&lock, 47);
		check_held(&lock, 15, 45, (enum range_mode)mode);
		/* They get that part back, and the leaf behind. */
		merge_leaf(&lock, 12);
		merge_leaf(&lock, 48);
		merge_leaf(&lock, 50);
		check_held(&lock, 15, 45, (enum range_mode)mode);
		CHECK(apart_at(&lock, 20) && apart_at(&lock, 30) && apart_at(&lock, 40));
		/* Leaves that the range overlaps stay, however cold. */
		warm_leaves(&lock);
		for (uint64_t key = 20; key < 50; key += 10)
			cool_leaf(&lock, key);
		sweep_leaves(&lock);
		CHECK(apart_at(&lock, 20) && apart_at(&lock, 30) && apart_at(&lock, 40));
		CHECK(!is_free(&lock, FULL, RANGE_WRITE));
		range_unlock(&lock, &wide);
		take(&lock, &full, FULL, RANGE_WRITE);
		check_valid(&lock);
		range_unlock(&lock, &full);
		check_quiet_and_destroy(&lock);
	}
}

/* Only a waiter's queue knows of it, unless it claims: the other leaves change under it. */
TEST(straddle, leaves_split_and_merge_under_a_waiter_that_overlaps_them)
{
	for (int cancel = 0; cancel < 2; cancel++) {
		struct range_lock lock;
		struct range_hold held;
		struct actor wide;

		init_with(&lock, RANGE_FAIRNESS_BARGING, UINT64_MAX);
		take(&lock, &held, 25, 26, RANGE_READ);
		actor_queue(&wide, &lock, 5, 55, RANGE_WRITE);
		CHECK(stands_at(&lock, &wide, 20));
		split_leaf(&lock, 15);
		split_leaf(&lock, 3);
		split_leaf(&lock, 8);
		check_valid(&lock);
		merge_leaf(&lock, 15);
		merge_leaf(&lock, 30);
		merge_leaf(&lock, 50);
		split_leaf(&lock, 53);
		check_valid(&lock);
		/*
		 * No split goes through the waiter in its queue, and no merge removes its first
		 * leaf.
		 */
		CHECK(range__leaf_crossed(leaf_at(&lock, 20), 24));
		if (cancel) {
			CHECK_EQ(range_cancel(&lock, &wide.range), 0);
			CHECK_EQ(actor_finish(&wide), ECANCELED);
			range_unlock(&lock, &held);
		} else {
			range_unlock(&lock, &held);
			actor_await(&wide);
			check_held(&lock, 5, 55, RANGE_WRITE);
			CHECK_EQ(actor_finish(&wide), 0);
		}
		check_quiet_and_destroy(&lock);
	}
}

TEST(straddle, a_leaf_that_counts_a_claim_is_not_merged)
{
	struct range_lock lock;
	struct range_hold held;
	struct actor wide;

	begin(&lock, RANGE_FAIRNESS_FIFO);
	take(&lock, &held, 5, 6, RANGE_READ);
	actor_queue(&wide, &lock, 5, 35, RANGE_WRITE);
	warm_leaves(&lock);
	for (uint64_t key = 10; key < 50; key += 10)
		cool_leaf(&lock, key);
	sweep_leaves(&lock);
	/* A leaf behind them merges into the last of them. */
	CHECK(apart_at(&lock, 10) && apart_at(&lock, 20) && apart_at(&lock, 30));
	CHECK(!apart_at(&lock, 40));
	CHECK(range__leaf_crossed(leaf_at(&lock, 35), 33));
	check_valid(&lock);
	range_unlock(&lock, &held);
	CHECK_EQ(actor_finish(&wide), 0);
	check_quiet_and_destroy(&lock);
}

static bool is_adopted(struct range_hold *range, unsigned int which)
{
	return range__node_in_tree(&range__hold(range)->node[which]);
}

static unsigned int published(void)
{
	unsigned int n = 0;

	for (int i = 0; i < RANGE__GROUP_SLOTS; i++)
		n += (atomic_load(&range__slots_own->slot[i].state) & SLOT_TAG) == SLOT_IN;
	return n;
}

TEST(straddle, a_reader_of_two_biased_leaves_is_published_once_and_writes_to_neither)
{
	struct range_lock lock;
	struct range_hold range;
	struct range__leaf leaves[2];

	begin(&lock, RANGE_FAIRNESS_BARGING);
	make_biased(&lock, 10);
	make_biased(&lock, 20);
	memcpy(&leaves[0], leaf_at(&lock, 10), sizeof leaves[0]);
	memcpy(&leaves[1], leaf_at(&lock, 20), sizeof leaves[1]);
	for (int how = 0; how < 3; how++) {
		CHECK_EQ(acquire_somehow(how, &lock, &range, 15, 25, RANGE_READ), 0);
		CHECK(is_published(&range));
		CHECK_EQ(published(), 1);
		CHECK(!memcmp(&leaves[0], leaf_at(&lock, 10), sizeof leaves[0]));
		CHECK(!memcmp(&leaves[1], leaf_at(&lock, 20), sizeof leaves[1]));
		range_unlock(&lock, &range);
		CHECK_EQ(published(), 0);
		CHECK(!memcmp(&leaves[0], leaf_at(&lock, 10), sizeof leaves[0]));
		CHECK(!memcmp(&leaves[1], leaf_at(&lock, 20), sizeof leaves[1]));
	}
	/* Not with a third leaf, nor with one that is not biased. */
	make_biased(&lock, 30);
	take(&lock, &range, 15, 35, RANGE_READ);
	CHECK(!is_published(&range));
	range_unlock(&lock, &range);
	take(&lock, &range, 35, 45, RANGE_READ);
	CHECK(!is_published(&range));
	check_valid(&lock);
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}

/* The caller's storage may contain anything, including an earlier range. */
TEST(straddle, earlier_contents_of_a_range_s_storage_do_not_matter)
{
	for (int how = 0; how < 3; how++) {
		struct range_hold range, slotted;
		struct range_request request = { &slotted, 15, 25, RANGE_READ };
		struct range_lock lock;

		begin(&lock, RANGE_FAIRNESS_BARGING);
		make_biased(&lock, 10);
		make_biased(&lock, 20);
		memset(&range, 0xff, sizeof range);
		CHECK_EQ(acquire_somehow(how, &lock, &range, 12, 18, RANGE_READ), 0);
		CHECK(is_published(&range));
		CHECK(!is_adopted(&range, 0) && !is_adopted(&range, 1));
		take_published(&lock, &slotted, 15, 25);
		range_unlock(&lock, &slotted);
		CHECK_EQ(range_lock_many(&lock, &request, 1), 0);
		CHECK(!is_published(&slotted));
		range_unlock(&lock, &range);
		check_held(&lock, 15, 25, RANGE_READ);
		range_unlock(&lock, &slotted);
		check_held(&lock, 0, 0, RANGE_READ);
		check_quiet_and_destroy(&lock);
	}
}

/* The events in the leaves of a published reader before it leaves, in some order. */
enum { ADOPT_IN_FIRST, ADOPT_IN_SECOND, BIAS_FIRST, BIAS_SECOND, NR_EVENTS };

static void happen(struct range_lock *lock, unsigned int event)
{
	switch (event) {
	case ADOPT_IN_FIRST:
		CHECK(is_free(lock, 11, 12, RANGE_WRITE));
		break;
	case ADOPT_IN_SECOND:
		CHECK(is_free(lock, 27, 28, RANGE_WRITE));
		break;
	case BIAS_FIRST:
		make_biased(lock, 12);
		break;
	default:
		make_biased(lock, 28);
	}
}

TEST(straddle, a_published_reader_of_two_leaves_is_adopted_in_each_and_released_in_both)
{
	enum { EVENTS = 5 };
	unsigned int courses = 1;

	for (int i = 0; i < EVENTS; i++)
		courses *= NR_EVENTS;
	for (unsigned int course = 0; course < courses; course++) {
		bool adopted[2] = { false, false };
		unsigned int rest = course;
		struct range_lock lock;
		struct range_hold range;

		begin(&lock, fairnesses[course % 2]);
		make_biased(&lock, 10);
		make_biased(&lock, 20);
		take_published(&lock, &range, 15, 25);
		for (int i = 0; i < EVENTS; i++, rest /= NR_EVENTS) {
			happen(&lock, rest % NR_EVENTS);
			if (rest % NR_EVENTS < 2)
				adopted[rest % NR_EVENTS] = true;
			for (unsigned int k = 0; k < 2; k++)
				CHECK_EQ(is_adopted(&range, k), adopted[k]);
		}
		if (course % 3 == 0)
			check_held(&lock, 15, 25, RANGE_READ);
		range_unlock(&lock, &range);
		check_held(&lock, 0, 0, RANGE_READ);
		check_quiet_and_destroy(&lock);
	}
}

TEST(straddle, a_published_reader_of_two_leaves_wakes_writers_of_both)
{
	struct range_lock lock;
	struct range_hold range;
	struct actor writers[3];

	begin(&lock, RANGE_FAIRNESS_BARGING);
	make_biased(&lock, 10);
	make_biased(&lock, 20);
	take_published(&lock, &range, 15, 25);
	actor_queue(&writers[0], &lock, 24, 25, RANGE_WRITE);
	CHECK(is_biased(&lock, 10) && !is_biased(&lock, 20));
	actor_queue(&writers[1], &lock, 15, 16, RANGE_WRITE);
	actor_queue(&writers[2], &lock, 17, 23, RANGE_WRITE);
	range_unlock(&lock, &range);
	for (unsigned int i = 0; i < 3; i++)
		actor_await(&writers[i]);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(actor_finish(&writers[i]), 0);
	check_quiet_and_destroy(&lock);
}

/* A reader that has seen both leaves biased, and publishes after one of them has changed. */
static bool publish_late(struct range_lock *lock, struct range__hold *reader,
			 const uint64_t words[2])
{
	memset(reader, 0, sizeof *reader);
	reader->start = 15;
	reader->end = 25;
	reader->mode = RANGE_READ;
	reader->how = RANGE__WIDE;
	for (unsigned int i = 0; i < 2; i++) {
		reader->leaf[i] = leaf_at(lock, 10 * i + 10);
		reader->saved_word[i] = words[i];
	}
	return range__reader_enter(range__lock(lock), reader);
}

TEST(straddle,
     a_reader_that_publishes_when_one_of_two_leaves_has_changed_is_recorded_in_both_or_none)
{
	for (unsigned int changed = 0; changed < 2; changed++) {
		for (int conflicts = 0; conflicts < 2; conflicts++) {
			struct range_lock lock;
			struct range_hold writer;
			struct range__hold reader;
			uint64_t words[2], key;

			begin(&lock, RANGE_FAIRNESS_BARGING);
			make_biased(&lock, 10);
			make_biased(&lock, 20);
			words[0] = word_at(&lock, 10);
			words[1] = word_at(&lock, 20);
			key = changed ? (conflicts ? 24 : 27) : (conflicts ? 15 : 11);
			take(&lock, &writer, key, key + 1, RANGE_WRITE);
			CHECK_EQ(publish_late(&lock, &reader, words), !conflicts);
			CHECK_EQ(published(), 0);
			CHECK(!is_published(range__public(&reader)));
			CHECK(is_biased(&lock, changed ? 10 : 20));
			check_valid(&lock);
			range_unlock(&lock, &writer);
			check_held(&lock, 15, conflicts ? 15 : 25, RANGE_READ);
			if (!conflicts)
				range__release_slow(range__lock(&lock), &reader, 15);
			check_held(&lock, 0, 0, RANGE_READ);
			check_quiet_and_destroy(&lock);
		}
	}
}

/* The leaf that the reader saw has become two, so the reader overlaps three. */
TEST(straddle, a_reader_that_publishes_when_a_leaf_has_been_split_under_it_is_recorded_in_three)
{
	struct range_lock lock;
	struct range__hold reader;
	uint64_t words[2];

	begin(&lock, RANGE_FAIRNESS_BARGING);
	make_biased(&lock, 10);
	make_biased(&lock, 20);
	words[0] = word_at(&lock, 10);
	words[1] = word_at(&lock, 20);
	split_leaf(&lock, 17);
	CHECK(publish_late(&lock, &reader, words));
	CHECK(reader.leaf[1] == leaf_at(&lock, 20));
	check_held(&lock, 15, 25, RANGE_READ);
	range__release_slow(range__lock(&lock), &reader, 15);
	check_held(&lock, 0, 0, RANGE_READ);
	check_quiet_and_destroy(&lock);
}

/* A published range that is changed leaves its slot, and is recorded in all its leaves. */
TEST(straddle, a_published_reader_of_two_leaves_can_be_changed_like_any_range)
{
	struct range_lock lock;
	struct range_hold range, upper;

	begin(&lock, RANGE_FAIRNESS_BARGING);
	for (int what = 0; what < 4; what++) {
		make_biased(&lock, 10);
		make_biased(&lock, 20);
		take_published(&lock, &range, 15, 25);
		if (what == 0) {
			CHECK_EQ(range_tryextend(&lock, &range, 5, 45), 0);
			check_held(&lock, 5, 45, RANGE_READ);
		} else if (what == 1) {
			CHECK_EQ(range_shrink(&lock, &range, 20, 25), 0);
			check_held(&lock, 20, 25, RANGE_READ);
		} else if (what == 2) {
			CHECK_EQ(range_tryupgrade(&lock, &range), 0);
			check_held(&lock, 15, 25, RANGE_WRITE);
		} else {
			CHECK_EQ(range_split(&lock, &range, 20, &upper), 0);
			check_held(&lock, 15, 25, RANGE_READ);
			range_unlock(&lock, &upper);
			check_held(&lock, 15, 20, RANGE_READ);
		}
		CHECK_EQ(published(), 0);
		range_unlock(&lock, &range);
		check_held(&lock, 0, 0, RANGE_READ);
	}
	check_quiet_and_destroy(&lock);
}
