/* SPDX-License-Identifier: MIT */
/* MM_MAP_GROWSDOWN: how far a stack grows. */
#include "spaces.h"

#define STACK     (PRIVATE | MM_MAP_GROWSDOWN)
#define TOP       5000u /* its first page, in the tests */
#define MAX_PAGES ((unsigned int)(MM_STACK_MAX / MM_PAGE_SIZE))
#define GAP_PAGES ((unsigned int)(MM_STACK_GAP / MM_PAGE_SIZE))

TEST(mm_stack, grows_down_to_where_it_is_accessed)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);

		map_as(mm, TOP, 2, RW, STACK);
		CHECK_EQ(poke(mm, AT(TOP - 1) + 100, 5), 0);
		CHECK_AREAS(mm, "4999-5002:rw-p");
		CHECK_EQ(peek(mm, AT(TOP - 10)), 0);
		CHECK_AREAS(mm, "4990-5002:rw-p");
		CHECK_EQ(peek(mm, AT(TOP - 1) + 100), 5);
		CHECK_EQ(stats_of(mm).pages, 2);
		CHECK_EQ(stats_of(mm).faults_coarse, 2);
		end_space(mm);
	}
}

TEST(mm_stack, does_not_grow_beyond_its_limit)
{
	struct mm *mm = new_space();

	map_as(mm, TOP, 1, RW, STACK);
	CHECK_EQ(poke(mm, AT(TOP - MAX_PAGES), 1), -MM_SEGV_MAPERR);
	CHECK_AREAS(mm, "5000-5001:rw-p");
	CHECK_EQ(poke(mm, AT(TOP + 1 - MAX_PAGES), 1), 0);
	CHECK_EQ(poke(mm, AT(TOP - MAX_PAGES) + 4095, 1), -MM_SEGV_MAPERR);
	CHECK_EQ(stats_of(mm).areas, 1);
	end_space(mm);
}

TEST(mm_stack, keeps_a_gap_to_what_is_below)
{
	struct mm *mm = new_space();
	unsigned int last = TOP - 1000;

	map_as(mm, TOP, 1, RW, STACK);
	map(mm, last - GAP_PAGES - 1, 1, RW);
	CHECK_EQ(poke(mm, AT(last - 1), 1), -MM_SEGV_MAPERR);
	CHECK_EQ(poke(mm, AT(last), 1), 0);
	CHECK_EQ(poke(mm, AT(last - 1), 1), -MM_SEGV_MAPERR);
	CHECK_EQ(mm_munmap(mm, AT(last - GAP_PAGES - 1), PAGES(1)), 0);
	CHECK_EQ(poke(mm, AT(last - 1), 1), 0);
	end_space(mm);
}

TEST(mm_stack, does_not_grow_below_the_least_address)
{
	struct mm *mm = new_space();
	uint64_t addr;

	CHECK_EQ(mm_mmap(mm, MM_ADDR_MIN + PAGES(2), PAGES(1), RW, STACK | MM_MAP_FIXED, -1, 0,
			 &addr),
		 0);
	CHECK_EQ(poke(mm, MM_ADDR_MIN - 1, 1), -MM_SEGV_MAPERR);
	CHECK_EQ(poke(mm, MM_ADDR_MIN, 1), 0);
	CHECK_EQ(poke(mm, 0, 1), -MM_SEGV_MAPERR);
	end_space(mm);
}

TEST(mm_stack, other_memory_does_not_grow)
{
	struct mm *mm = new_space();

	map(mm, TOP, 1, RW);
	CHECK_EQ(poke(mm, AT(TOP - 1), 1), -MM_SEGV_MAPERR);
	/* Nor a stack over something that lies between. */
	map_as(mm, TOP + 2, 1, RW, STACK);
	CHECK_EQ(poke(mm, AT(TOP - 1), 1), -MM_SEGV_MAPERR);
	CHECK_EQ(mm_munmap(mm, AT(TOP), PAGES(1)), 0);
	CHECK_EQ(poke(mm, AT(TOP - 1), 1), 0);
	CHECK_EQ(mm_munmap(mm, AT(TOP - 1), PAGES(4)), 0);
	CHECK_EQ(try_map(mm, 0, PAGES(1), SHARED | MM_MAP_GROWSDOWN), EINVAL);
	end_space(mm);
}

TEST(mm_stack, is_not_grown_by_what_operations_do)
{
	struct mm *mm = new_space();

	map_as(mm, TOP, 1, RW, STACK);
	CHECK_EQ(mm_mprotect(mm, AT(TOP - 1), PAGES(1), R), ENOMEM);
	CHECK_EQ(mm_madvise(mm, AT(TOP - 1), PAGES(1), MM_MADV_POPULATE_READ), ENOMEM);
	CHECK_EQ(mm_mlock(mm, AT(TOP - 1), PAGES(1)), ENOMEM);
	CHECK_AREAS(mm, "5000-5001:rw-p");
	end_space(mm);
}

TEST(mm_stack, does_not_grow_for_who_holds_a_part)
{
	struct mm *mm = new_space();
	struct mm_hold hold;

	map_as(mm, TOP, 1, RW, STACK);
	CHECK_EQ(mm_lock_range(mm, &hold, AT(TOP - 2), AT(TOP + 1), RANGE_WRITE), 0);
	CHECK_EQ(mm_write(mm, AT(TOP - 1), "x", 1, NULL), EDEADLK);
	mm_unlock_range(mm, &hold);
	CHECK_EQ(mm_write_lock(mm), 0);
	CHECK_EQ(poke(mm, AT(TOP - 1), 1), 0);
	mm_write_unlock(mm);
	end_space(mm);
}
