/* SPDX-License-Identifier: MIT */
/*
 * How many instructions that lock a cache line it takes to acquire and release a range without a
 * conflict: three swaps to acquire two leaves and two to release them, and none for a reader of two
 * biased leaves.
 */
#include "instructions.h"
#include "leaves.h"

struct pair {
	struct range_lock lock;
	struct range_hold range;
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
};

static void lock_and_unlock(void *arg)
{
	struct pair *pair = arg;

	CHECK_EQ(range_lock(&pair->lock, &pair->range, pair->start, pair->end, pair->mode), 0);
	range_unlock(&pair->lock, &pair->range);
}

static bool can_count(void)
{
	if (checked_build)
		printf("skipped: the checked build costs more\n");
	return !checked_build && can_count_instructions();
}

static void check_cost(struct pair *pair, uint64_t expected)
{
	struct instructions instructions = count_instructions(lock_and_unlock, pair);

	printf("%" PRIu64 " instructions, %" PRIu64 " of them atomic\n", instructions.all,
	       instructions.atomic);
#ifdef __x86_64__
	CHECK_EQ(instructions.atomic, expected);
#else
	(void)expected;
#endif
}

static void check_swaps(uint64_t start, uint64_t end, enum range_mode mode, bool biased,
			uint64_t expected)
{
	struct pair pair = { .start = start, .end = end, .mode = mode };

	if (!can_count())
		return;
	init_lock(&pair.lock, RANGE_FAIRNESS_BARGING, 16);
	make_far_leaves(&pair.lock);
	for (uint64_t key = 40; key > 0; key -= 10)
		split_leaf(&pair.lock, key);
	for (uint64_t key = 0; biased && key < 40; key += 10)
		make_biased(&pair.lock, key);
	check_cost(&pair, expected);
	check_quiet_and_destroy(&pair.lock);
}

TEST(straddle_cost, one_leaf_takes_one_swap_to_acquire_and_one_to_release)
{
	check_swaps(12, 18, RANGE_WRITE, false, 2);
	check_swaps(12, 18, RANGE_READ, false, 2);
}

TEST(straddle_cost, two_leaves_take_three_swaps_to_acquire_and_two_to_release)
{
	check_swaps(15, 25, RANGE_WRITE, false, 5);
	check_swaps(15, 25, RANGE_READ, false, 5);
}

/* Where the system has no heavy fence, publishing and leaving have a fence each. */
TEST(straddle_cost, a_reader_of_two_biased_leaves_takes_no_swap)
{
	check_swaps(12, 18, RANGE_READ, true, mmrange__fence_is_heavy ? 0 : 2);
	check_swaps(15, 25, RANGE_READ, true, mmrange__fence_is_heavy ? 0 : 2);
}

/* The thread locks and unlocks each leaf when it acquires the range and when it releases it. */
TEST(straddle_cost, three_leaves_take_four_atomic_operations_each)
{
	check_swaps(15, 35, RANGE_WRITE, false, 12);
}

/* The thread locks and unlocks the leaf when it acquires the range and when it releases it. */
TEST(straddle_cost, a_leaf_with_other_ranges_takes_two_atomic_operations_each_way)
{
	struct pair pair = { .start = 15, .end = 16, .mode = RANGE_WRITE };
	struct range_hold held[2];

	if (!can_count())
		return;
	init_lock(&pair.lock, RANGE_FAIRNESS_BARGING, 1);
	for (unsigned int i = 0; i < 2; i++)
		take(&pair.lock, &held[i], 10 * i, 10 * i + 1, RANGE_WRITE);
	check_cost(&pair, 4);
	for (unsigned int i = 0; i < 2; i++)
		range_unlock(&pair.lock, &held[i]);
	check_quiet_and_destroy(&pair.lock);
}
