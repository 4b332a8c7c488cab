/* SPDX-License-Identifier: MIT */
/* What a lock says of its ranges: range_is_held() and range_lock_conflict(). */
#include "actors.h"

#include "platform/platform.h"

#include <errno.h>
#include <string.h>

/* With one leaf, and with several that ranges span. */
static void begin(struct range_lock *lock, bool leaves)
{
	init_lock(lock, RANGE_FAIRNESS_BARGING, 64);
	if (leaves)
		make_leaves(lock, 5);
}

TEST(query, a_thread_holds_what_it_acquired_at_least_in_the_mode)
{
	for (int leaves = 0; leaves < 2; leaves++) {
		struct range_lock lock;
		struct range_hold writer, reader;

		begin(&lock, leaves);
		CHECK(!range_is_held(&lock, 0, 1, RANGE_READ));
		take(&lock, &writer, 5, 45, RANGE_WRITE);
		take(&lock, &reader, 60, 70, RANGE_READ);
		CHECK(range_is_held(&lock, 5, 45, RANGE_WRITE));
		CHECK(range_is_held(&lock, 5, 45, RANGE_READ));
		CHECK(range_is_held(&lock, 24, 25, RANGE_WRITE));
		CHECK(!range_is_held(&lock, 4, 6, RANGE_READ));
		CHECK(!range_is_held(&lock, 44, 46, RANGE_READ));
		CHECK(range_is_held(&lock, 60, 70, RANGE_READ));
		CHECK(!range_is_held(&lock, 60, 61, RANGE_WRITE));
		CHECK(!range_is_held(&lock, 10, 10, RANGE_READ));
		CHECK(!range_is_held(&lock, 11, 10, RANGE_READ));
		CHECK(!range_is_held(&lock, 10, 11, (enum range_mode)7));
		range_unlock(&lock, &writer);
		CHECK(!range_is_held(&lock, 24, 25, RANGE_READ));
		range_unlock(&lock, &reader);
		check_quiet_and_destroy(&lock);
	}
}

TEST(query, adjacent_and_overlapping_ranges_of_a_thread_hold_together)
{
	struct range_lock lock;
	struct range_hold one, two, three;

	begin(&lock, true);
	take(&lock, &one, 5, 15, RANGE_READ);
	take(&lock, &two, 10, 35, RANGE_READ);
	take(&lock, &three, 35, 40, RANGE_WRITE);
	CHECK(range_is_held(&lock, 5, 40, RANGE_READ));
	CHECK(!range_is_held(&lock, 34, 40, RANGE_WRITE));
	range_unlock(&lock, &two);
	CHECK(!range_is_held(&lock, 5, 40, RANGE_READ));
	CHECK(range_is_held(&lock, 5, 15, RANGE_READ));
	range_unlock(&lock, &one);
	range_unlock(&lock, &three);
	check_quiet_and_destroy(&lock);
}

TEST(query, what_other_threads_hold_does_not_count)
{
	for (int leaves = 0; leaves < 2; leaves++) {
		struct range_lock lock;
		struct range_hold own;
		struct actor other;

		begin(&lock, leaves);
		actor_start(&other, &lock, 0, 50, RANGE_READ);
		actor_await(&other);
		CHECK(!range_is_held(&lock, 20, 21, RANGE_READ));
		take(&lock, &own, 20, 25, RANGE_READ);
		CHECK(range_is_held(&lock, 20, 25, RANGE_READ));
		CHECK(!range_is_held(&lock, 20, 26, RANGE_READ));
		range_unlock(&lock, &own);
		CHECK_EQ(actor_finish(&other), 0);
		check_quiet_and_destroy(&lock);
	}
}

TEST(query, a_published_range_is_held_and_the_bias_stays)
{
	struct range_lock lock;
	struct range_hold range, beside;

	begin(&lock, true);
	make_biased(&lock, 10);
	take_published(&lock, &range, 12, 15);
	take(&lock, &beside, 15, 16, RANGE_READ);
	CHECK(range_is_held(&lock, 12, 16, RANGE_READ));
	CHECK(!range_is_held(&lock, 12, 13, RANGE_WRITE));
	CHECK(!range_is_held(&lock, 11, 13, RANGE_READ));
	CHECK(is_published(&range) && is_biased(&lock, 10));
	range_unlock(&lock, &range);
	CHECK(!range_is_held(&lock, 12, 13, RANGE_READ));
	range_unlock(&lock, &beside);
	check_quiet_and_destroy(&lock);
}

static void check_conflict(struct range_lock *lock, uint64_t start, uint64_t end,
			   enum range_mode mode, const struct range_hold *expected)
{
	struct range_info info, before;
	int error;

	memset(&info, 0x5a, sizeof info);
	before = info;
	error = range_lock_conflict(lock, start, end, mode, &info);
	if (!expected) {
		CHECK_EQ(error, ESRCH);
		CHECK(!memcmp(&info, &before, sizeof info));
		return;
	}
	CHECK_EQ(error, 0);
	CHECK(info.range == expected);
	CHECK_EQ(info.start, expected->start);
	CHECK_EQ(info.end, expected->end);
	CHECK_EQ(info.mode, expected->mode);
	CHECK_EQ(info.state, RANGE_STATE_HELD);
	CHECK_EQ(info.thread, (uint32_t)(mmrange__self() >> 32));
}

TEST(query, the_conflicting_range_that_begins_first_is_found)
{
	for (int leaves = 0; leaves < 2; leaves++) {
		struct range_lock lock;
		struct range_hold reader, writer, wide;

		begin(&lock, leaves);
		take(&lock, &wide, 2, 48, RANGE_READ);
		take(&lock, &reader, 22, 23, RANGE_READ);
		take(&lock, &writer, 60, 61, RANGE_WRITE);
		check_conflict(&lock, 24, 25, RANGE_WRITE, &wide);
		check_conflict(&lock, 22, 61, RANGE_WRITE, &wide);
		check_conflict(&lock, 22, 61, RANGE_READ, &writer);
		check_conflict(&lock, 0, 60, RANGE_READ, NULL);
		check_conflict(&lock, 48, 60, RANGE_WRITE, NULL);
		check_conflict(&lock, 0, 2, RANGE_WRITE, NULL);
		check_conflict(&lock, FULL, RANGE_WRITE, &wide);
		range_unlock(&lock, &wide);
		check_conflict(&lock, FULL, RANGE_WRITE, &reader);
		range_unlock(&lock, &reader);
		check_conflict(&lock, 61, UINT64_MAX, RANGE_WRITE, NULL);
		range_unlock(&lock, &writer);
		check_conflict(&lock, FULL, RANGE_WRITE, NULL);
		check_quiet_and_destroy(&lock);
	}
}

TEST(query, readers_in_slots_conflict_with_a_writer)
{
	struct range_lock lock;
	struct range_hold one, two;

	begin(&lock, true);
	make_biased(&lock, 10);
	make_biased(&lock, 20);
	take_published(&lock, &one, 12, 13);
	take_published(&lock, &two, 15, 25);
	check_conflict(&lock, 0, 50, RANGE_READ, NULL);
	CHECK(is_biased(&lock, 10));
	check_conflict(&lock, 24, 50, RANGE_WRITE, &two);
	check_conflict(&lock, 0, 50, RANGE_WRITE, &one);
	range_unlock(&lock, &one);
	range_unlock(&lock, &two);
	check_quiet_and_destroy(&lock);
}

TEST(query, bad_ranges_are_refused)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_info info;

	CHECK_EQ(range_lock_conflict(&lock, 5, 5, RANGE_READ, &info), EINVAL);
	CHECK_EQ(range_lock_conflict(&lock, 6, 5, RANGE_READ, &info), EINVAL);
	CHECK_EQ(range_lock_conflict(&lock, 5, 6, (enum range_mode)7, &info), EINVAL);
	check_quiet_and_destroy(&lock);
}

/* Random ranges of two players, against brute force. */
enum { KEYS = 60, RANGES = 8 };

struct player_range {
	struct range_hold hold;
	unsigned int player; /* 0: not held */
};

static bool player_holds(const struct player_range *ranges, unsigned int player, uint64_t start,
			 uint64_t end, enum range_mode mode)
{
	for (uint64_t key = start; key < end; key++) {
		bool found = false;

		for (int i = 0; i < RANGES; i++) {
			const struct player_range *r = &ranges[i];

			found |= r->player == player && r->hold.start <= key && key < r->hold.end &&
				 r->hold.mode >= mode;
		}
		if (!found)
			return false;
	}
	return true;
}

/* The start of the first one; UINT64_MAX: there is none. */
static uint64_t first_conflict(const struct player_range *ranges, uint64_t start, uint64_t end,
			       enum range_mode mode)
{
	uint64_t first = UINT64_MAX;

	for (int i = 0; i < RANGES; i++) {
		const struct player_range *r = &ranges[i];

		if (r->player && r->hold.start < end && start < r->hold.end &&
		    (mode == RANGE_WRITE || r->hold.mode == RANGE_WRITE) && r->hold.start < first)
			first = r->hold.start;
	}
	return first;
}

static void check_first_conflict(struct range_lock *lock, const struct player_range *ranges,
				 uint64_t start, uint64_t end, enum range_mode mode)
{
	const uint64_t first = first_conflict(ranges, start, end, mode);
	struct range_info info;

	if (first == UINT64_MAX) {
		CHECK_EQ(range_lock_conflict(lock, start, end, mode, &info), ESRCH);
		return;
	}
	CHECK_EQ(range_lock_conflict(lock, start, end, mode, &info), 0);
	CHECK_EQ(info.start, first);
	CHECK(start < info.end && (mode == RANGE_WRITE || info.mode == RANGE_WRITE));
}

static void step(struct range_lock *lock, struct player_range *ranges, unsigned int player,
		 uint64_t *random)
{
	struct player_range *r = &ranges[test_random_below(random, RANGES)];
	uint64_t start = test_random_below(random, KEYS - 1);
	uint64_t end = start + 1 + test_random_below(random, KEYS - start);
	enum range_mode mode = test_random_below(random, 3) ? RANGE_READ : RANGE_WRITE;

	CHECK_EQ(range_is_held(lock, start, end, mode),
		 player_holds(ranges, player, start, end, mode));
	/* It ends biases. */
	if (test_random_below(random, 4) == 0)
		check_first_conflict(lock, ranges, start, end, mode);
	if (r->player) {
		range_unlock(lock, &r->hold);
		r->player = 0;
	} else if (range_trylock(lock, &r->hold, start, end, mode) == 0) {
		r->player = player;
	}
}

/* The caller plays one thread or another, if there are two players. */
static void play(struct range_lock *lock, unsigned int players, uint64_t *random)
{
	struct player_range ranges[RANGES] = { { .player = 0 } };

	for (int i = 0; i < 100; i++) {
		unsigned int player = 1 + (unsigned int)test_random_below(random, players);

		if (players > 1)
			play_thread(player);
		if (i % 16 == 0)
			make_impatient(lock);
		step(lock, ranges, player, random);
	}
	for (int i = 0; i < RANGES; i++)
		if (ranges[i].player)
			range_unlock(lock, &ranges[i].hold);
}

TEST(query, answers_agree_with_brute_force)
{
	uint64_t random = test_seed("query/answers"), self = mmrange__self();

	for (unsigned int round = 0; round < test_scale(400); round++) {
		unsigned int players = 1 + round % 2;
		struct range_lock_attr attr;
		struct range_lock lock;

		/* Slots belong to the real thread, whichever one it plays. */
		range_lock_attr_init(&attr);
		attr.bias = players > 1 ? RANGE_BIAS_NEVER : RANGE_BIAS_ADAPTIVE;
		CHECK_EQ(range_lock_init(&lock, &attr), 0);
		if (round / 2 % 2)
			make_leaves(&lock, 5);
		mmrange__thread = self;
		play(&lock, players, &random);
		mmrange__thread = self;
		check_quiet_and_destroy(&lock);
	}
}
