/* SPDX-License-Identifier: MIT */
#include "files.h"

TEST(mm_mlock, makes_pages_present_and_keeps_them)
{
	struct mm *mm = new_space();

	map(mm, 0, 8, RW);
	/* Locks whole pages, wherever the range begins. */
	CHECK_EQ(mm_mlock(mm, AT(2) + 100, PAGES(2)), 0);
	CHECK_EQ(stats_of(mm).pages, 3);
	CHECK_VMAS(mm, "0-2:rw-p 2-5:rw-p 5-8:rw-p");
	CHECK_EQ(poke(mm, AT(2), 5), 0);
	CHECK_EQ(mm_madvise(mm, AT(2), PAGES(1), MM_MADV_DONTNEED), EINVAL);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(8), MM_MADV_DONTNEED), EINVAL);
	CHECK_EQ(peek(mm, AT(2)), 5);
	CHECK_EQ(mm_munlock(mm, AT(0), PAGES(8)), 0);
	CHECK_VMAS(mm, "0-8:rw-p");
	CHECK_EQ(mm_madvise(mm, AT(2), PAGES(1), MM_MADV_DONTNEED), 0);
	CHECK_EQ(peek(mm, AT(2)), 0);
	end_space(mm);
}

TEST(mm_mlock, does_not_count)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(2)), 0);
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(2)), 0);
	CHECK_EQ(mm_munlock(mm, AT(0), PAGES(1)), 0);
	CHECK_VMAS(mm, "0-1:rw-p 1-2:rw-p");
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(1), MM_MADV_DONTNEED), 0);
	CHECK_EQ(mm_madvise(mm, AT(1), PAGES(1), MM_MADV_DONTNEED), EINVAL);
	end_space(mm);
}

TEST(mm_mlock, writable_private_pages_are_ready_to_be_written_to)
{
	struct mm *mm = new_space(), *child;
	struct mm_stats before;

	map(mm, 0, 4, RW);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(poke(mm, AT(i), 1), 0);
	CHECK_EQ(mm_fork(mm, &child), 0);
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(4)), 0);
	CHECK_EQ(stats_of(mm).frames, 8);
	before = stats_of(mm);
	CHECK_EQ(poke(mm, AT(3), 2), 0);
	CHECK_EQ(stats_of(mm).faults, before.faults);
	end_space(child);
	end_space(mm);
}

TEST(mm_mlock, the_first_hole_ends_it)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	map(mm, 3, 2, RW);
	CHECK_EQ(mm_mlock(mm, AT(1), PAGES(4)), ENOMEM);
	/* As in Linux, the VMA before the hole is locked, and not made present. */
	CHECK_VMAS(mm, "0-1:rw-p 1-2:rw-p 3-5:rw-p");
	CHECK_EQ(mm_madvise(mm, AT(1), PAGES(1), MM_MADV_DONTNEED), EINVAL);
	CHECK_EQ(mm_madvise(mm, AT(3), PAGES(1), MM_MADV_DONTNEED), 0);
	CHECK_EQ(mm_munlock(mm, AT(1), PAGES(4)), ENOMEM);
	CHECK_VMAS(mm, "0-2:rw-p 3-5:rw-p");
	CHECK_EQ(mm_mlock(mm, AT(9), PAGES(1)), ENOMEM);
	end_space(mm);
}

TEST(mm_mlock, bad_calls_are_refused)
{
	struct mm *mm = new_space();

	map(mm, 0, 1, RW);
	CHECK_EQ(mm_mlock(mm, AT(0), 0), 0);
	CHECK_EQ(mm_mlock(mm, AT(9), 0), 0);
	CHECK_EQ(mm_mlock(mm, UINT64_MAX - PAGES(2), PAGES(4)), EINVAL);
	CHECK_EQ(mm_munlock(mm, UINT64_MAX - PAGES(2), PAGES(4)), EINVAL);
	CHECK_VMAS(mm, "0-1:rw-p");
	end_space(mm);
}

TEST(mm_mlock, vmas_that_allow_no_access_are_locked_too)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, NONE);
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(1)), ENOMEM);
	CHECK_VMAS(mm, "0-1:---p 1-2:---p");
	end_space(mm);
}

TEST(mm_mlock, splits_need_room_for_vmas)
{
	struct mm *mm = new_space_of_vmas(2);

	map(mm, 0, 5, RW);
	CHECK_EQ(mm_mlock(mm, AT(1), PAGES(1)), ENOMEM);
	CHECK_VMAS(mm, "0-5:rw-p");
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(1)), 0);
	CHECK_VMAS(mm, "0-1:rw-p 1-5:rw-p");
	CHECK_EQ(mm_mlock(mm, AT(1), PAGES(4)), 0);
	CHECK_VMAS(mm, "0-5:rw-p");
	end_space(mm);
}

TEST(mm_mlock, without_pages_it_says_so)
{
	struct mm *mm = new_space_of_pages(2);

	map(mm, 0, 3, RW);
	map(mm, 3, 1, R);
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(4)), EAGAIN);
	/* The pages before the failure are present, and all VMAs are locked. */
	CHECK_EQ(stats_of(mm).pages, 2);
	CHECK_EQ(mm_fault(mm, AT(1), W, NULL), 0);
	CHECK_EQ(mm_madvise(mm, AT(2), PAGES(1), MM_MADV_DONTNEED), EINVAL);
	CHECK_EQ(mm_madvise(mm, AT(3), PAGES(1), MM_MADV_DONTNEED), EINVAL);
	end_space(mm);
}

TEST(mm_mlock, a_locked_vma_grows_with_its_pages_present)
{
	struct mm *mm = new_space();
	uint64_t addr;

	map(mm, 0, 2, RW);
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(2)), 0);
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(2), PAGES(4), 0, 0, &addr), 0);
	CHECK_EQ(stats_of(mm).pages, 4);
	map(mm, 4, 1, R);
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(4), PAGES(6), MM_MREMAP_MAYMOVE, 0, &addr), 0);
	CHECK_EQ(stats_of(mm).pages, 6);
	CHECK_EQ(mm_madvise(mm, addr, PAGES(6), MM_MADV_DONTNEED), EINVAL);
	end_space(mm);
}

TEST(mm_mlock, munmap_ends_it)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(2)), 0);
	CHECK_EQ(mm_munmap(mm, AT(0), PAGES(2)), 0);
	map(mm, 0, 2, RW);
	CHECK_EQ(stats_of(mm).pages, 0);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(2), MM_MADV_DONTNEED), 0);
	end_space(mm);
}

TEST(mm_mlock, pages_of_a_file_are_read)
{
	struct mm *mm = new_space();
	int fd = new_file(PAGES(2));

	map_file_at(mm, 0, 2, RW, MM_MAP_SHARED, fd, 0);
	CHECK_EQ(mm_mlock(mm, AT(0), PAGES(2)), 0);
	CHECK_EQ(stats_of(mm).pages, 2);
	map_file_at(mm, 4, 2, RW, MM_MAP_SHARED, fd, 1);
	CHECK_EQ(mm_mlock(mm, AT(4), PAGES(2)), ENOMEM);
	CHECK_EQ(stats_of(mm).pages, 3);
	end_space(mm);
	close(fd);
}
