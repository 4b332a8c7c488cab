/* SPDX-License-Identifier: MIT */
#include "spaces.h"

TEST(mm_munmap, pages_are_freed_and_gone)
{
	struct mm *mm = new_space();

	map(mm, 0, 4, RW);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(poke(mm, AT(i), 1), 0);
	CHECK_EQ(stats_of(mm).pages, 4);
	CHECK_EQ(mm_munmap(mm, AT(1), PAGES(2)), 0);
	CHECK_EQ(stats_of(mm).pages, 2);
	CHECK_VMAS(mm, "0-1:rw-p 3-4:rw-p");
	CHECK_EQ(peek(mm, AT(0)), 1);
	CHECK_EQ(peek(mm, AT(1)), -MM_SEGV_MAPERR);
	CHECK_EQ(peek(mm, AT(2)), -MM_SEGV_MAPERR);
	CHECK_EQ(peek(mm, AT(3)), 1);
	end_space(mm);
}

TEST(mm_munmap, the_length_is_rounded_up_to_pages)
{
	struct mm *mm = new_space();

	map(mm, 0, 4, RW);
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(1) + 1), 0);
	CHECK_VMAS(mm, "2-4:rw-p");
	end_space(mm);
}

TEST(mm_munmap, several_vmas_and_holes_are_taken_at_once)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	map(mm, 2, 2, R);
	map(mm, 5, 1, RW);
	map_as(mm, 8, 4, RW, SHARED);
	CHECK_EQ(mm_munmap(mm, AT(1), PAGES(9)), 0);
	CHECK_VMAS(mm, "0-1:rw-p 10-12:rw-s");
	end_space(mm);
}

TEST(mm_munmap, nothing_there_is_no_error)
{
	struct mm *mm = new_space();

	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(1)), 0);
	CHECK_EQ(mm_munmap(mm, 0, PAGES(1)), 0);
	CHECK_EQ(mm_munmap(mm, MM_ADDR_MAX - PAGES(1), PAGES(1)), 0);
	CHECK_EQ(mm_munmap(mm, MM_ADDR_MAX - PAGES(1), 1), 0);
	end_space(mm);
}

TEST(mm_munmap, bad_ranges_are_refused)
{
	struct mm *mm = new_space();

	map(mm, 0, 1, RW);
	CHECK_EQ(mm_munmap(mm, AT(0) + 1, PAGES(1)), EINVAL);
	CHECK_EQ(mm_munmap(mm, AT(0), 0), EINVAL);
	CHECK_EQ(mm_munmap(mm, AT(0), UINT64_MAX), EINVAL);
	CHECK_EQ(mm_munmap(mm, MM_ADDR_MAX, PAGES(1)), EINVAL);
	CHECK_EQ(mm_munmap(mm, MM_ADDR_MAX, 0), EINVAL);
	CHECK_EQ(mm_munmap(mm, MM_ADDR_MAX - PAGES(1), PAGES(1) + 1), EINVAL);
	CHECK_VMAS(mm, "0-1:rw-p");
	end_space(mm);
}

TEST(mm_munmap, a_hole_in_a_vma_needs_room_for_one_more)
{
	struct mm *mm = new_space_of_vmas(2);

	map(mm, 0, 3, RW);
	map(mm, 4, 1, RW);
	CHECK_EQ(poke(mm, AT(1), 1), 0);
	CHECK_EQ(mm_munmap(mm, AT(1), PAGES(1)), ENOMEM);
	CHECK_EQ(peek(mm, AT(1)), 1);
	CHECK_VMAS(mm, "0-3:rw-p 4-5:rw-p");
	CHECK_EQ(mm_munmap(mm, AT(2), PAGES(3)), 0);
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(1)), 0);
	CHECK_VMAS(mm, "1-2:rw-p");
	end_space(mm);
}

TEST(mm_munmap, huge_ranges_cost_no_more_than_their_contents)
{
	struct mm *mm = new_space();

	for (unsigned int i = 0; i < 40; i++) {
		const uint64_t addr = PAGES(i) + (BASE >> 14 << 10 << (i % 7));

		CHECK_EQ(try_map(mm, addr, PAGES(1), PRIVATE | MM_MAP_FIXED), 0);
		CHECK_EQ(poke(mm, addr, 1), 0);
	}
	CHECK_EQ(mm_munmap(mm, 0, MM_ADDR_MAX), 0);
	CHECK_EQ(stats_of(mm).pages, 0);
	end_space(mm);
}
