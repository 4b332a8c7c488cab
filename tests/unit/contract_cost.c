/* SPDX-License-Identifier: MIT */
/*
 * The costs that the headers promise, counted in instructions: a bound on time would be wrong on a
 * busy machine, or useless.
 */
#include "actors.h"
#include "instructions.h"

#include "platform/platform.h"

#include <errno.h>

/* The costs are those of release builds: the checked build also maintains a registry. */
static bool can_count(void)
{
	if (checked_build)
		printf("skipped: the checked build costs more\n");
	return !checked_build && can_count_instructions();
}

/* Many held ranges, in a lock of one leaf. */
struct crowd {
	struct range_lock lock;
	struct range_hold *held;
	struct range_request requests[2];
	struct range_hold range[2];
	uint64_t n;
};

static void crowd_begin(struct crowd *crowd, uint64_t n, enum range_mode mode)
{
	init_lock(&crowd->lock, RANGE_FAIRNESS_BARGING, 1);
	crowd->n = n;
	crowd->held = calloc(n, sizeof(*crowd->held));
	CHECK(crowd->held);
	for (uint64_t i = 0; i < n; i++)
		take(&crowd->lock, &crowd->held[i], 10 * i, 10 * i + 5, mode);
}

static void crowd_end(struct crowd *crowd)
{
	for (uint64_t i = 0; i < crowd->n; i++)
		range_unlock(&crowd->lock, &crowd->held[i]);
	check_quiet_and_destroy(&crowd->lock);
	free(crowd->held);
}

/* In a gap in the middle of the crowd. */
static void lock_and_unlock(void *arg)
{
	struct crowd *crowd = arg;
	uint64_t at = crowd->n / 2 * 10 + 6;

	CHECK_EQ(range_lock(&crowd->lock, &crowd->range[0], at, at + 2, RANGE_WRITE), 0);
	range_unlock(&crowd->lock, &crowd->range[0]);
}

static void try_what_is_taken(void *arg)
{
	struct crowd *crowd = arg;

	CHECK_EQ(range_trylock(&crowd->lock, &crowd->range[0], FULL, RANGE_WRITE), EBUSY);
}

static void change_what_is_held(void *arg)
{
	struct crowd *crowd = arg;
	struct range_hold *range = &crowd->held[crowd->n / 2];
	uint64_t start = range->start;

	range_downgrade(&crowd->lock, range);
	CHECK_EQ(range_tryupgrade(&crowd->lock, range), 0);
	CHECK_EQ(range_shrink(&crowd->lock, range, start, start + 3), 0);
	CHECK_EQ(range_tryextend(&crowd->lock, range, start, start + 5), 0);
	CHECK_EQ(range_split(&crowd->lock, range, start + 3, &crowd->range[0]), 0);
	range_unlock(&crowd->lock, &crowd->range[0]);
	CHECK_EQ(range_tryextend(&crowd->lock, range, start, start + 5), 0);
}

static void lock_two(void *arg)
{
	struct crowd *crowd = arg;
	uint64_t at = crowd->n / 2 * 10 + 6;

	for (uint64_t i = 0; i < 2; i++)
		crowd->requests[i] = (struct range_request){ &crowd->range[i], at + 2 * i,
							     at + 2 * i + 1, RANGE_WRITE };
	CHECK_EQ(range_lock_many(&crowd->lock, crowd->requests, 2), 0);
	for (int i = 0; i < 2; i++)
		range_unlock(&crowd->lock, &crowd->range[i]);
}

static uint64_t cost_among(uint64_t n, void (*run)(void *arg))
{
	struct crowd crowd;
	uint64_t cost;

	crowd_begin(&crowd, n, RANGE_WRITE);
	cost = count_instructions(run, &crowd).all;
	crowd_end(&crowd);
	return cost;
}

/*
 * log2 is 4 and 16: O(log n) work costs at most four times as much, and the rest of the cost only
 * lowers the ratio.
 */
TEST(contract_cost, the_cost_of_a_range_grows_with_the_logarithm_of_the_held_ranges)
{
	void (*const calls[])(void *arg) = { lock_and_unlock, try_what_is_taken,
					     change_what_is_held, lock_two };

	if (!can_count())
		return;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		uint64_t few = cost_among(16, calls[i]), many = cost_among(65536, calls[i]);

		printf("call %zu: %" PRIu64 " instructions beside 16, %" PRIu64 " beside 65536\n",
		       i, few, many);
		CHECK(many <= 4 * few);
	}
}

static void lock_and_unlock_first_key(void *lock)
{
	struct range_hold range;

	CHECK_EQ(range_lock(lock, &range, 0, 1, RANGE_WRITE), 0);
	range_unlock(lock, &range);
}

static void read_first_key(void *lock)
{
	struct range_hold range;

	CHECK_EQ(range_lock(lock, &range, 0, 1, RANGE_READ), 0);
	range_unlock(lock, &range);
}

TEST(contract_cost, an_uncontended_acquisition_or_release_is_one_compare_and_swap)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct instructions cost;

	if (!can_count())
		return;
	cost = count_instructions(lock_and_unlock_first_key, &lock);
	printf("%" PRIu64 " instructions, %" PRIu64 " of them atomic\n", cost.all, cost.atomic);
#ifdef __x86_64__
	CHECK_EQ(cost.atomic, 2);
#endif
	CHECK(cost.all < 300);
	check_quiet_and_destroy(&lock);
}

TEST(contract_cost, a_reader_in_a_biased_leaf_needs_no_atomic_operation)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct instructions cost;

	if (!can_count())
		return;
	make_biased(&lock, 0);
	cost = count_instructions(read_first_key, &lock);
	printf("%" PRIu64 " instructions, %" PRIu64 " of them atomic\n", cost.all, cost.atomic);
#ifdef __x86_64__
	/* Where threads execute their own fences: one to publish the range, one to leave. */
	CHECK_EQ(cost.atomic, mmrange__fence_is_heavy ? 0 : 2);
#endif
	CHECK(cost.all < 400);
	check_quiet_and_destroy(&lock);
}

TEST(contract_cost, the_cost_of_finding_a_leaf_grows_with_the_logarithm_of_the_leaves)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	uint64_t few, many;

	if (!can_count())
		return;
	make_leaves(&lock, 4);
	few = count_instructions(lock_and_unlock_first_key, &lock).all;
	make_leaves(&lock, 256);
	many = count_instructions(lock_and_unlock_first_key, &lock).all;
	printf("%" PRIu64 " instructions with 4 leaves, %" PRIu64 " with 256\n", few, many);
	CHECK(many <= 2 * few);
	check_quiet_and_destroy(&lock);
}

static int look_on(const struct range_info *info, void *arg)
{
	(void)info, (void)arg;
	return 0;
}

static void walk_all(void *lock)
{
	CHECK_EQ(range_lock_foreach(lock, look_on, NULL), 0);
}

/* With n readers of one key held. */
static uint64_t cost_of_a_walk(unsigned int n)
{
	struct range_lock lock;
	struct range_hold *held = calloc(n, sizeof *held);
	uint64_t cost;

	CHECK(held);
	init_lock(&lock, RANGE_FAIRNESS_BARGING, 1);
	for (unsigned int i = 0; i < n; i++)
		take(&lock, &held[i], 0, 10, RANGE_READ);
	cost = count_instructions(walk_all, &lock).all;
	for (unsigned int i = 0; i < n; i++)
		range_unlock(&lock, &held[i]);
	check_quiet_and_destroy(&lock);
	free(held);
	return cost;
}

TEST(contract_cost, the_cost_of_a_walk_grows_with_the_ranges_also_if_all_start_at_one_key)
{
	uint64_t few, many;

	if (!can_count())
		return;
	few = cost_of_a_walk(128);
	many = cost_of_a_walk(2048);
	printf("%" PRIu64 " instructions for 128 ranges, %" PRIu64 " for 2048\n", few, many);
	CHECK(many <= 2 * 16 * few);
}
