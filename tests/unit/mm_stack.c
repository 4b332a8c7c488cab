/* SPDX-License-Identifier: MIT */
/* MM_MAP_GROWSDOWN: how far a stack grows. */
#include "spaces.h"

#include <stdbool.h>

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
		CHECK_VMAS(mm, "4999-5002:rw-p");
		CHECK_EQ(peek(mm, AT(TOP - 10)), 0);
		CHECK_VMAS(mm, "4990-5002:rw-p");
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
	CHECK_VMAS(mm, "5000-5001:rw-p");
	CHECK_EQ(poke(mm, AT(TOP + 1 - MAX_PAGES), 1), 0);
	CHECK_EQ(poke(mm, AT(TOP - MAX_PAGES) + 4095, 1), -MM_SEGV_MAPERR);
	CHECK_EQ(stats_of(mm).areas, 1);
	end_space(mm);
}

TEST(mm_stack, keeps_a_gap_to_the_vma_below)
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

/* Whether a stack grows down to a page ten pages above a VMA of one page. */
static bool grows_close_to(int prot, int flags)
{
	struct mm *mm = new_space();
	bool grows;

	map_as(mm, TOP, 1, RW, STACK);
	map_as(mm, TOP - 20, 1, prot, flags);
	grows = poke(mm, AT(TOP - 10), 1) == 0;
	if (!grows)
		CHECK_EQ(poke(mm, AT(TOP - 10), 1), -MM_SEGV_MAPERR);
	end_space(mm);
	return grows;
}

TEST(mm_stack, keeps_a_gap_only_to_accessible_vmas_that_are_no_stacks)
{
	CHECK(grows_close_to(NONE, PRIVATE));
	CHECK(grows_close_to(NONE, SHARED));
	CHECK(grows_close_to(RW, STACK));
	CHECK(grows_close_to(NONE, STACK));
	CHECK(!grows_close_to(R, PRIVATE));
	CHECK(!grows_close_to(W, SHARED));
	CHECK(!grows_close_to(X, PRIVATE));
}

TEST(mm_stack, keeps_a_gap_to_the_next_vma_only)
{
	struct mm *mm = new_space();

	map_as(mm, TOP, 1, RW, STACK);
	map(mm, TOP - 30, 1, RW);
	map(mm, TOP - 20, 1, NONE);
	CHECK_EQ(poke(mm, AT(TOP - 19), 1), 0);
	CHECK_VMAS(mm, "4970-4971:rw-p 4980-4981:---p 4981-5001:rw-p");
	end_space(mm);
}

TEST(mm_stack, grows_before_the_protection_is_checked)
{
	struct mm *mm = new_space();

	map_as(mm, TOP, 1, NONE, STACK);
	CHECK_EQ(poke(mm, AT(TOP - 2), 1), -MM_SEGV_ACCERR);
	CHECK_VMAS(mm, "4998-5001:---p");
	end_space(mm);
}

TEST(mm_stack, of_a_locked_one_only_the_page_that_is_accessed_becomes_present)
{
	struct mm *mm = new_space();
	unsigned char vec[3];

	map_as(mm, TOP, 1, RW, STACK);
	CHECK_EQ(mm_mlock(mm, AT(TOP), PAGES(1)), 0);
	CHECK_EQ(poke(mm, AT(TOP - 2), 1), 0);
	CHECK_EQ(mm_mincore(mm, AT(TOP - 2), PAGES(3), vec), 0);
	CHECK(vec[0] & 1 && !(vec[1] & 1) && vec[2] & 1);
	CHECK_EQ(mm_madvise(mm, AT(TOP - 1), PAGES(1), MM_MADV_DONTNEED), EINVAL);
	end_space(mm);
}

TEST(mm_stack, grows_although_there_are_too_many_vmas)
{
	struct mm *mm = new_space_of_vmas(1);

	map_as(mm, TOP, 1, RW, STACK);
	map(mm, 0, 1, NONE);
	CHECK_EQ(try_map(mm, 0, PAGES(1), PRIVATE), ENOMEM);
	CHECK_EQ(poke(mm, AT(TOP - 1), 1), 0);
	end_space(mm);
}

/* A space with one stack, in a gap of that many pages. */
static struct mm *stack_in_gap(unsigned int pages)
{
	struct mm *mm = new_space();
	int flags = SHARED | MM_MAP_FIXED;
	uint64_t addr;

	CHECK_EQ(mm_mmap(mm, MM_ADDR_MIN, AT(TOP - pages) - MM_ADDR_MIN, NONE, flags, -1, 0, &addr),
		 0);
	CHECK_EQ(mm_mmap(mm, AT(TOP), MM_ADDR_MAX - AT(TOP), NONE, flags, -1, 0, &addr), 0);
	map_as(mm, TOP - 1, 1, RW, STACK);
	return mm;
}

TEST(mm_stack, searches_keep_the_gap_below_it)
{
	struct mm *mm = stack_in_gap(GAP_PAGES + 10);
	uint64_t addr = 0;

	CHECK_EQ(try_map(mm, 0, PAGES(10), PRIVATE), ENOMEM);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(4), NONE, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, AT(TOP - 1 - GAP_PAGES - 4));
	/* Hints and moves keep the gap, too. */
	CHECK_EQ(mm_mmap(mm, AT(TOP - 100), PAGES(2), NONE, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, AT(TOP - 1 - GAP_PAGES - 6));
	CHECK_EQ(mm_mremap(mm, AT(TOP - 1), PAGES(1), PAGES(4), 1, 0, &addr), ENOMEM);
	CHECK_EQ(mm_mremap(mm, AT(TOP - 1), PAGES(1), PAGES(3), 1, 0, &addr), 0);
	CHECK_EQ(addr, AT(TOP - 1 - GAP_PAGES - 9));
	end_space(mm);
}

TEST(mm_stack, a_search_goes_on_below_a_stack_without_room_above_the_gap)
{
	struct mm *mm = stack_in_gap(GAP_PAGES + 30);
	uint64_t addr = 0;

	map_as(mm, TOP - 20, 1, NONE, STACK);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(9), NONE, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, AT(TOP - 20 - GAP_PAGES - 9));
	CHECK_EQ(try_map(mm, 0, PAGES(2), PRIVATE), ENOMEM);
	/* A mapping at a fixed address goes there. */
	map(mm, TOP - 21, 1, NONE);
	end_space(mm);
}

TEST(mm_stack, without_other_room_only_the_next_vma_has_to_keep_its_gap)
{
	struct mm *mm = stack_in_gap(100);
	uint64_t addr = 0;

	CHECK_EQ(try_map(mm, 0, PAGES(1), PRIVATE), ENOMEM);
	map(mm, TOP - 90, 1, R);
	map_as(mm, TOP - 80, 1, R, STACK);
	map(mm, TOP - 70, 1, R);
	CHECK_EQ(try_map(mm, 0, PAGES(11), PRIVATE), ENOMEM);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(9), NONE, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, AT(TOP - 100));
	CHECK_EQ(mm_mmap(mm, 0, PAGES(9), NONE, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, AT(TOP - 79));
	CHECK_EQ(try_map(mm, 0, PAGES(9), PRIVATE), ENOMEM);
	end_space(mm);
}

TEST(mm_stack, the_heap_keeps_the_gap_below_it)
{
	struct mm_attr attr;
	struct mm *mm;
	uint64_t brk;

	mm_attr_init(&attr);
	attr.brk_start = AT(0);
	mm = new_space_with(&attr);
	map_as(mm, GAP_PAGES + 10, 1, RW, STACK);
	CHECK_EQ(mm_brk(mm, AT(10), &brk), 0);
	CHECK_EQ(brk, AT(0));
	CHECK_EQ(mm_brk(mm, AT(9), &brk), 0);
	CHECK_EQ(brk, AT(9));
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
	/* Nor does a stack grow over a VMA below it. */
	map_as(mm, TOP + 2, 1, RW, STACK);
	CHECK_EQ(poke(mm, AT(TOP - 1), 1), -MM_SEGV_MAPERR);
	CHECK_EQ(mm_munmap(mm, AT(TOP), PAGES(1)), 0);
	CHECK_EQ(poke(mm, AT(TOP - 1), 1), 0);
	CHECK_EQ(mm_munmap(mm, AT(TOP - 1), PAGES(4)), 0);
	CHECK_EQ(try_map(mm, 0, PAGES(1), SHARED | MM_MAP_GROWSDOWN), EINVAL);
	end_space(mm);
}

TEST(mm_stack, is_not_grown_by_operations)
{
	struct mm *mm = new_space();

	map_as(mm, TOP, 1, RW, STACK);
	CHECK_EQ(mm_mprotect(mm, AT(TOP - 1), PAGES(1), R), ENOMEM);
	CHECK_EQ(mm_madvise(mm, AT(TOP - 1), PAGES(1), MM_MADV_POPULATE_READ), ENOMEM);
	CHECK_EQ(mm_mlock(mm, AT(TOP - 1), PAGES(1)), ENOMEM);
	CHECK_VMAS(mm, "5000-5001:rw-p");
	end_space(mm);
}

TEST(mm_stack, does_not_grow_for_the_holder_of_a_part)
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
