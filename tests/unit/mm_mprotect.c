/* SPDX-License-Identifier: MIT */
#include "spaces.h"

TEST(mm_mprotect, vmas_split_and_merge_again)
{
	struct mm *mm = new_space();

	map(mm, 0, 6, RW);
	CHECK_EQ(mm_mprotect(mm, AT(2), PAGES(2), R), 0);
	CHECK_VMAS(mm, "0-2:rw-p 2-4:r--p 4-6:rw-p");
	CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(1), R), 0);
	CHECK_VMAS(mm, "0-1:rw-p 1-4:r--p 4-6:rw-p");
	CHECK_EQ(mm_mprotect(mm, AT(3), PAGES(2), NONE), 0);
	CHECK_VMAS(mm, "0-1:rw-p 1-3:r--p 3-5:---p 5-6:rw-p");
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(5) + 1, RW), 0);
	CHECK_VMAS(mm, "0-6:rw-p");
	end_space(mm);
}

TEST(mm_mprotect, present_pages_allow_the_accesses_that_their_vma_allows)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), R), 0);
	CHECK_EQ(poke(mm, AT(0), 2), -MM_SEGV_ACCERR);
	CHECK_EQ(peek(mm, AT(0)), 1);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), NONE), 0);
	CHECK_EQ(peek(mm, AT(0)), -MM_SEGV_ACCERR);
	CHECK_EQ(stats_of(mm).pages, 1);
	check_space(mm);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), RW), 0);
	CHECK_EQ(peek(mm, AT(0)), 1);
	CHECK_EQ(poke(mm, AT(0), 3), 0);
	end_space(mm);
}

TEST(mm_mprotect, writable_or_executable_pages_are_readable)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), W), 0);
	CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(1), X), 0);
	CHECK_VMAS(mm, "0-1:-w-p 1-2:--xp");
	CHECK_EQ(peek(mm, AT(0)), 0);
	CHECK_EQ(peek(mm, AT(1)), 0);
	CHECK_EQ(poke(mm, AT(1), 1), -MM_SEGV_ACCERR);
	end_space(mm);
}

TEST(mm_mprotect, vmas_before_a_hole_are_changed)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	map(mm, 3, 1, RW);
	CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(3), R), ENOMEM);
	CHECK_VMAS(mm, "0-1:rw-p 1-2:r--p 3-4:rw-p");
	CHECK_EQ(mm_mprotect(mm, AT(2), PAGES(2), R), ENOMEM);
	CHECK_VMAS(mm, "0-1:rw-p 1-2:r--p 3-4:rw-p");
	end_space(mm);
}

TEST(mm_mprotect, bad_calls_are_refused_in_the_order_of_linux)
{
	struct mm *mm = new_space();

	map(mm, 0, 4, RW);
	CHECK_EQ(mm_mprotect(mm, AT(0) + 1, PAGES(1), R), EINVAL);
	CHECK_EQ(mm_mprotect(mm, AT(0) + 1, 0, R), EINVAL);
	CHECK_EQ(mm_mprotect(mm, AT(0), 0, 0x1000), 0);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), 0x1000), EINVAL);
	CHECK_EQ(mm_mprotect(mm, AT(9), PAGES(1), 0x1000), EINVAL);
	CHECK_EQ(mm_mprotect(mm, AT(0), UINT64_MAX, R), ENOMEM);
	CHECK_EQ(mm_mprotect(mm, AT(0), UINT64_MAX - 8191, R), ENOMEM);
	CHECK_EQ(mm_mprotect(mm, AT(0), UINT64_MAX, 0x1000), ENOMEM);
	CHECK_EQ(mm_mprotect(mm, AT(9), PAGES(1), R), ENOMEM);
	CHECK_EQ(mm_mprotect(mm, MM_ADDR_MAX, PAGES(1), R), ENOMEM);
	CHECK_EQ(mm_mprotect(mm, MM_ADDR_MAX + PAGES(10), PAGES(1), R), ENOMEM);
	CHECK_VMAS(mm, "0-4:rw-p");
	end_space(mm);
}

TEST(mm_mprotect, splitting_needs_room_and_merging_makes_it)
{
	struct mm *mm = new_space_of_vmas(3);

	map(mm, 0, 4, RW);
	map(mm, 4, 1, R);
	CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(1), R), ENOMEM);
	CHECK_VMAS(mm, "0-4:rw-p 4-5:r--p");
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), X), 0);
	CHECK_VMAS(mm, "0-1:--xp 1-4:rw-p 4-5:r--p");
	CHECK_EQ(mm_mprotect(mm, AT(2), PAGES(1), R), ENOMEM);
	CHECK_EQ(mm_mprotect(mm, AT(3), PAGES(1), R), 0);
	CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(1), X), 0);
	CHECK_VMAS(mm, "0-2:--xp 2-3:rw-p 3-5:r--p");
	CHECK_EQ(mm_mprotect(mm, AT(2), PAGES(1), R), 0);
	CHECK_VMAS(mm, "0-2:--xp 2-5:r--p");
	end_space(mm);
}

/* Checks which of the pages from the first one on are present, as in "p.p". */
#define CHECK_PRESENT(mm, first, expected)                                                         \
	do {                                                                                       \
		unsigned char vec_[sizeof(expected)];                                              \
		CHECK_EQ(mm_mincore(mm, AT(first), PAGES(sizeof(expected) - 1), vec_), 0);         \
		for (size_t i_ = 0; i_ < sizeof(expected) - 1; i_++)                               \
			vec_[i_] = vec_[i_] & 1 ? 'p' : '.';                                       \
		vec_[sizeof(expected) - 1] = '\0';                                                 \
		if (strcmp((char *)vec_, expected))                                                \
			test_fail(__FILE__, __LINE__, "present are \"%s\", not \"%s\"", vec_,      \
				  expected);                                                       \
	} while (0)

TEST(mm_mprotect, locked_vmas_are_made_present_when_they_become_writable)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);

		map(mm, 0, 5, NONE);
		CHECK_EQ(mm_mprotect(mm, AT(1), PAGES(1), RW), 0);
		CHECK_EQ(mm_mprotect(mm, AT(3), PAGES(1), W), 0);
		CHECK_EQ(mm_mlock(mm, AT(0), PAGES(4)), ENOMEM);
		CHECK_PRESENT(mm, 0, ".....");
		/*
		 * Makes present neither pages that were writable already nor those of unlocked
		 * VMAs.
		 */
		CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(5), RW), 0);
		CHECK_PRESENT(mm, 0, "p.p..");
		end_space(mm);
	}
}

TEST(mm_mprotect, locked_vmas_are_present_although_a_later_one_is_refused)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, R);
	map(mm, 3, 1, R);
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(4)), ENOMEM);
	CHECK_EQ(mm_munlock(mm, AT(0), PAGES(2)), 0);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(2), MM_MADV_DONTNEED), 0);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(2), NONE), 0);
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(2)), ENOMEM);
	CHECK_PRESENT(mm, 0, "..");
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(4), RW), ENOMEM);
	CHECK_PRESENT(mm, 0, "pp");
	end_space(mm);
}

TEST(mm_mprotect, locked_vmas_are_made_present_for_the_holder_of_the_range)
{
	struct mm *mm = new_space();
	struct mm_hold hold;

	map(mm, 0, 2, NONE);
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(2)), ENOMEM);
	CHECK_EQ(mm_lock_range(mm, &hold, AT(0), AT(4), RANGE_WRITE), 0);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(2), RW), 0);
	mm_unlock_range(mm, &hold);
	CHECK_PRESENT(mm, 0, "pp");
	end_space(mm);
}
