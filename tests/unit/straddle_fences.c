/* SPDX-License-Identifier: MIT */
/*
 * However many biased leaves a writer overlaps, one fence of all threads ends the bias of them all.
 * The linker wraps the call.
 */
#include "leaves.h"

#include <errno.h>

bool __real_mmrange__try_heavy_fence(void);
bool __wrap_mmrange__try_heavy_fence(void);

enum { LEAVES = 50 };

static unsigned int fences;

bool __wrap_mmrange__try_heavy_fence(void)
{
	fences++;
	return __real_mmrange__try_heavy_fence();
}

static void make_all_biased(struct range_lock *lock)
{
	for (uint64_t i = 0; i < LEAVES; i++)
		make_biased(lock, 10 * i);
	fences = 0;
}

static void begin(struct range_lock *lock)
{
	init_lock(lock, RANGE_FAIRNESS_BARGING, 64);
	make_far_leaves(lock);
	for (uint64_t i = LEAVES; i > 0; i--)
		split_leaf(lock, 10 * i);
}

/* Checks that the first n leaves are not biased, and that the others are. */
static void check_biased_from(struct range_lock *lock, uint64_t n)
{
	for (uint64_t i = 0; i < LEAVES; i++)
		CHECK_EQ(is_biased(lock, 10 * i), i >= n);
}

TEST(straddle_fences, a_writer_of_any_number_of_leaves_needs_one_fence)
{
	struct range_lock lock;
	struct range_hold range;

	begin(&lock);
	for (uint64_t n = 1; n <= LEAVES; n += n < 4 ? 1 : 23) {
		make_all_biased(&lock);
		CHECK_EQ(acquire_somehow((int)(n % 3), &lock, &range, 5, 10 * n, RANGE_WRITE), 0);
		CHECK_EQ(fences, 1);
		check_biased_from(&lock, n);
		range_unlock(&lock, &range);
		/* No leaf that the range overlaps is biased any more. */
		take(&lock, &range, 5, 10 * n, RANGE_WRITE);
		range_unlock(&lock, &range);
		CHECK_EQ(fences, 1);
	}
	check_quiet_and_destroy(&lock);
}

TEST(straddle_fences, a_set_with_a_writer_needs_one_fence_and_a_set_of_readers_none)
{
	struct range_lock lock;
	struct range_hold ranges[3];
	struct range_request requests[3] = {
		{ &ranges[0], 5, 25, RANGE_READ },
		{ &ranges[1], 105, 125, RANGE_READ },
		{ &ranges[2], 305, 425, RANGE_READ },
	};

	begin(&lock);
	for (int writer = 0; writer < 2; writer++) {
		make_all_biased(&lock);
		requests[2].mode = writer ? RANGE_WRITE : RANGE_READ;
		CHECK_EQ(range_lock_many(&lock, requests, 3), 0);
		CHECK_EQ(fences, writer);
		CHECK(is_biased(&lock, 200));
		for (int i = 0; i < 3; i++)
			range_unlock(&lock, &ranges[i]);
	}
	check_quiet_and_destroy(&lock);
}

/* The writer still adopts the readers of each leaf: those of one leaf, and those of two. */
TEST(straddle_fences, a_try_that_meets_readers_of_several_leaves_needs_one_fence)
{
	struct range_lock lock;
	struct range_hold one, two, writer;

	begin(&lock);
	make_all_biased(&lock);
	take_published(&lock, &one, 12, 13);
	take_published(&lock, &two, 95, 105);
	CHECK_EQ(range_trylock(&lock, &writer, 0, 200, RANGE_WRITE), EBUSY);
	CHECK_EQ(fences, 1);
	range_unlock(&lock, &one);
	CHECK_EQ(range_trylock(&lock, &writer, 0, 200, RANGE_WRITE), EBUSY);
	CHECK_EQ(range_trylock(&lock, &writer, 0, 96, RANGE_WRITE), EBUSY);
	CHECK_EQ(range_trylock(&lock, &writer, 104, 200, RANGE_WRITE), EBUSY);
	range_unlock(&lock, &two);
	CHECK_EQ(range_trylock(&lock, &writer, 0, 200, RANGE_WRITE), 0);
	CHECK_EQ(fences, 1);
	range_unlock(&lock, &writer);
	check_quiet_and_destroy(&lock);
}

/* A thread that changes a published range ends the bias of all its leaves. */
TEST(straddle_fences, extending_a_range_over_biased_leaves_needs_one_fence)
{
	struct range_lock lock;
	struct range_hold range;

	begin(&lock);
	make_all_biased(&lock);
	take_published(&lock, &range, 95, 105);
	CHECK_EQ(range_tryextend(&lock, &range, 50, 300), 0);
	CHECK_EQ(fences, 1);
	CHECK(is_biased(&lock, 0) && !is_biased(&lock, 50) && !is_biased(&lock, 290));
	range_unlock(&lock, &range);
	check_quiet_and_destroy(&lock);
}
