/* SPDX-License-Identifier: MIT */
#include "mm/hold_times.h"
#include "mm/space.h"
#include "spaces.h"

TEST(mm_hold_times, ends_ascend)
{
	for (unsigned int i = 1; i < MM_NR_HOLD_TIMES; i++)
		CHECK(mm_hold_time_end(i - 1) < mm_hold_time_end(i));
	CHECK(mm_hold_time_end(MM_NR_HOLD_TIMES - 1) == UINT64_MAX);
	CHECK(mm_hold_time_end(MM_NR_HOLD_TIMES) == UINT64_MAX);
	CHECK(mm_hold_time_end(MM_NR_HOLD_TIMES - 2) > UINT64_C(10000000));
}

static void check_time(uint64_t ns)
{
	unsigned int i = mm__hold_time_index(ns);

	CHECK(i < MM_NR_HOLD_TIMES);
	if (ns != UINT64_MAX && (ns >= mm_hold_time_end(i) || (i && ns < mm_hold_time_end(i - 1))))
		test_fail(__FILE__, __LINE__, "%" PRIu64 " ns are counted in %u", ns, i);
}

TEST(mm_hold_times, each_time_is_counted_where_it_belongs)
{
	uint64_t seed = test_seed("mm_hold_times");

	for (uint64_t ns = 0; ns < 100000; ns++)
		check_time(ns);
	for (unsigned int i = 0; i < MM_NR_HOLD_TIMES; i++) {
		check_time(mm_hold_time_end(i) - 1);
		check_time(mm_hold_time_end(i));
	}
	for (unsigned int i = 0; i < 10000; i++)
		check_time(test_random(&seed) >> test_random_below(&seed, 64));
	CHECK_EQ(mm__hold_time_index(UINT64_MAX), MM_NR_HOLD_TIMES - 1);
}

TEST(mm_hold_times, each_hold_is_counted_once)
{
	struct mm *mm = new_space();
	uint64_t before;
	uint64_t addr;

	map(mm, 0, 2, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	before = lock_holds(mm);
	CHECK(before > 0);
	/* Faults, statistics, and changes in one border node do not take the VMA tree lock. */
	CHECK_EQ(poke(mm, AT(1), 1), 0);
	CHECK_EQ(mm_munmap(mm, AT(1), PAGES(1)), 0);
	map(mm, 10, 2, R);
	CHECK_EQ(mm_mprotect(mm, AT(11), PAGES(1), RW), 0);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(1), MM_MADV_DONTNEED), 0);
	CHECK_EQ(lock_holds(mm), before);
	/* The search for a place takes it. */
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), RW, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(lock_holds(mm), before + 1);
	end_space(mm);
}
