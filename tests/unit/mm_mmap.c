/* SPDX-License-Identifier: MIT */
#include "spaces.h"

#include <unistd.h>

#define HUGE (UINT64_MAX - MM_PAGE_SIZE)

static int map_file(struct mm *mm, uint64_t length, int fd, uint64_t offset)
{
	uint64_t result = 1;
	int error = mm_mmap(mm, 0, length, RW, MM_MAP_PRIVATE, fd, offset, &result);

	CHECK_EQ(result, 1);
	return error;
}

TEST(mm_mmap, new_memory_reads_as_zeroes)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	CHECK_EQ(peek(mm, AT(0)), 0);
	CHECK_EQ(peek(mm, AT(2) - 1), 0);
	CHECK_VMAS(mm, "0-2:rw-p");
	end_space(mm);
}

TEST(mm_mmap, memory_is_zeroed_again_when_it_is_used_again)
{
	struct mm *mm = new_space();

	for (int i = 0; i < 300; i++) {
		map(mm, 0, 1, RW);
		CHECK_EQ(peek(mm, AT(0) + 123), 0);
		CHECK_EQ(poke(mm, AT(0) + 123, 7), 0);
	}
	end_space(mm);
}

TEST(mm_mmap, without_an_address_the_highest_gap_is_used)
{
	struct mm *mm = new_space();
	uint64_t top, next, small, below;

	CHECK_EQ(mm_mmap(mm, 0, PAGES(4), RW, PRIVATE, -1, 0, &top), 0);
	CHECK_EQ(top, MM_ADDR_MAX - PAGES(4));
	CHECK_EQ(mm_mmap(mm, 0, PAGES(4), R, PRIVATE, -1, 0, &next), 0);
	CHECK_EQ(next, MM_ADDR_MAX - PAGES(8));
	CHECK_EQ(mm_munmap(mm, top, PAGES(2)), 0);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(3), RW, PRIVATE, -1, 0, &below), 0);
	CHECK_EQ(below, next - PAGES(3));
	CHECK_EQ(mm_mmap(mm, 0, 1, RW, PRIVATE, -1, 0, &small), 0);
	CHECK_EQ(small, top + PAGES(1));
	end_space(mm);
}

TEST(mm_mmap, the_lowest_gap_begins_at_the_least_address)
{
	struct mm *mm = new_space();
	uint64_t addr;

	CHECK_EQ(try_map(mm, MM_ADDR_MIN + PAGES(3), MM_ADDR_MAX - MM_ADDR_MIN - PAGES(3),
			 PRIVATE | MM_MAP_FIXED),
		 0);
	CHECK_EQ(try_map(mm, 0, PAGES(4), PRIVATE), ENOMEM);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(3), RW, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, MM_ADDR_MIN);
	CHECK_EQ(try_map(mm, 0, 1, PRIVATE), ENOMEM);
	CHECK_EQ(stats_of(mm).areas, 1);
	end_space(mm);
}

TEST(mm_mmap, a_hint_is_taken_if_it_is_free)
{
	struct mm *mm = new_space();
	uint64_t addr;

	CHECK_EQ(mm_mmap(mm, AT(1) + 5, PAGES(1), RW, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, AT(1));
	CHECK_EQ(mm_mmap(mm, AT(0), PAGES(2), RW, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, MM_ADDR_MAX - PAGES(2));
	CHECK_EQ(mm_mmap(mm, 0x1001, PAGES(1), RW, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, MM_ADDR_MIN);
	CHECK_EQ(mm_mmap(mm, 5, PAGES(1), RW, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, MM_ADDR_MAX - PAGES(3));
	CHECK_EQ(mm_mmap(mm, MM_ADDR_MAX - PAGES(1), PAGES(2), RW, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, MM_ADDR_MAX - PAGES(5));
	CHECK_EQ(mm_mmap(mm, UINT64_MAX, PAGES(1), RW, PRIVATE, -1, 0, &addr), 0);
	CHECK_EQ(addr, MM_ADDR_MAX - PAGES(6));
	end_space(mm);
}

TEST(mm_mmap, fixed_replaces_earlier_mappings)
{
	struct mm *mm = new_space();

	map(mm, 0, 6, RW);
	for (unsigned int i = 0; i < 6; i++)
		CHECK_EQ(poke(mm, AT(i), 1), 0);
	map(mm, 2, 2, R);
	CHECK_VMAS(mm, "0-2:rw-p 2-4:r--p 4-6:rw-p");
	CHECK_EQ(stats_of(mm).pages, 4);
	CHECK_EQ(peek(mm, AT(1)), 1);
	CHECK_EQ(peek(mm, AT(2)), 0);
	CHECK_EQ(peek(mm, AT(3)), 0);
	CHECK_EQ(peek(mm, AT(4)), 1);
	map(mm, 1, 4, RW);
	CHECK_VMAS(mm, "0-6:rw-p");
	CHECK_EQ(peek(mm, AT(0)), 1);
	CHECK_EQ(peek(mm, AT(4)), 0);
	end_space(mm);
}

TEST(mm_mmap, fixed_noreplace_refuses_a_taken_range)
{
	struct mm *mm = new_space();

	map(mm, 1, 2, RW);
	CHECK_EQ(try_map(mm, AT(0), PAGES(2), PRIVATE | MM_MAP_FIXED_NOREPLACE), EEXIST);
	CHECK_EQ(try_map(mm, AT(2), PAGES(2), PRIVATE | MM_MAP_FIXED_NOREPLACE), EEXIST);
	CHECK_EQ(try_map(mm, AT(0), PAGES(1), PRIVATE | MM_MAP_FIXED_NOREPLACE), 0);
	CHECK_EQ(try_map(mm, AT(3), PAGES(1), PRIVATE | MM_MAP_FIXED_NOREPLACE), 0);
	CHECK_VMAS(mm, "0-4:rw-p");
	end_space(mm);
}

TEST(mm_mmap, neighbours_merge_if_protection_and_flags_agree)
{
	struct mm *mm = new_space();

	map(mm, 0, 1, RW);
	map(mm, 2, 1, RW);
	map(mm, 1, 1, RW);
	CHECK_VMAS(mm, "0-3:rw-p");
	map(mm, 3, 1, R);
	map_as(mm, 4, 1, R, PRIVATE | MM_MAP_NORESERVE);
	map_as(mm, 5, 1, R, PRIVATE | MM_MAP_NORESERVE | MM_MAP_STACK);
	map_as(mm, 6, 1, R, PRIVATE | MM_MAP_NORESERVE | MM_MAP_STACK);
	CHECK_VMAS(mm, "0-3:rw-p 3-4:r--p 4-5:r--p 5-7:r--p");
	end_space(mm);
}

TEST(mm_mmap, shared_mappings_merge_only_with_their_own_parts)
{
	struct mm *mm = new_space();

	map_as(mm, 0, 1, RW, SHARED);
	map_as(mm, 1, 1, RW, SHARED);
	map_as(mm, 4, 4, RW, SHARED);
	CHECK_EQ(mm_mprotect(mm, AT(5), PAGES(1), R), 0);
	CHECK_VMAS(mm, "0-1:rw-s 1-2:rw-s 4-5:rw-s 5-6:r--s 6-8:rw-s");
	CHECK_EQ(mm_mprotect(mm, AT(5), PAGES(1), RW), 0);
	CHECK_VMAS(mm, "0-1:rw-s 1-2:rw-s 4-8:rw-s");
	end_space(mm);
}

TEST(mm_mmap, bad_lengths_and_flags_are_refused)
{
	struct mm *mm = new_space();
	uint64_t result = 1;

	CHECK_EQ(try_map(mm, 0, 0, PRIVATE), EINVAL);
	CHECK_EQ(try_map(mm, 0, PAGES(1), MM_MAP_ANONYMOUS), EINVAL);
	CHECK_EQ(try_map(mm, 0, PAGES(1), PRIVATE | SHARED), EINVAL);
	CHECK_EQ(try_map(mm, 0, PAGES(1), PRIVATE | 0x40000000), EINVAL);
	CHECK_EQ(try_map(mm, 0, UINT64_MAX, PRIVATE), ENOMEM);
	CHECK_EQ(try_map(mm, 0, HUGE, PRIVATE), ENOMEM);
	CHECK_EQ(try_map(mm, 0, MM_ADDR_MAX, PRIVATE), ENOMEM);
	CHECK_EQ(try_map(mm, 0, MM_ADDR_MAX + 1, PRIVATE), ENOMEM);
	CHECK_EQ(mm_mmap(mm, 0, PAGES(1), RW, PRIVATE, -1, 1, &result), EINVAL);
	CHECK_EQ(result, 1);
	CHECK_VMAS(mm, "");
	end_space(mm);
}

TEST(mm_mmap, bad_fixed_places_are_refused)
{
	struct mm *mm = new_space();
	const int fixed = PRIVATE | MM_MAP_FIXED;

	CHECK_EQ(try_map(mm, AT(0) + 1, PAGES(1), fixed), EINVAL);
	CHECK_EQ(try_map(mm, MM_ADDR_MAX, PAGES(1), fixed), ENOMEM);
	CHECK_EQ(try_map(mm, MM_ADDR_MAX + 1, PAGES(1), fixed), ENOMEM);
	CHECK_EQ(try_map(mm, HUGE + 1, PAGES(1), fixed), ENOMEM);
	CHECK_EQ(try_map(mm, MM_ADDR_MAX - PAGES(1), PAGES(2), fixed), ENOMEM);
	CHECK_EQ(try_map(mm, MM_ADDR_MIN - PAGES(1), PAGES(1), fixed), EPERM);
	CHECK_EQ(try_map(mm, 0, PAGES(1), fixed), EPERM);
	CHECK_EQ(try_map(mm, MM_ADDR_MIN, PAGES(1), fixed), 0);
	CHECK_EQ(try_map(mm, MM_ADDR_MAX - PAGES(1), PAGES(1), fixed), 0);
	end_space(mm);
}

TEST(mm_mmap, errors_come_in_the_order_of_linux)
{
	struct mm *mm = new_space();
	const int noreplace = MM_MAP_ANONYMOUS | MM_MAP_FIXED_NOREPLACE;

	map(mm, 0, 1, RW);
	CHECK_EQ(try_map(mm, 0, 0, 0), EBADF);
	CHECK_EQ(try_map(mm, AT(0), PAGES(1), noreplace), EEXIST);
	CHECK_EQ(try_map(mm, AT(0) + 1, PAGES(1), noreplace), EINVAL);
	CHECK_EQ(try_map(mm, AT(1), PAGES(1), noreplace), EINVAL);
	CHECK_EQ(try_map(mm, MM_ADDR_MAX + 1, PAGES(1), noreplace), ENOMEM);
	end_space(mm);
}

TEST(mm_mmap, a_descriptor_of_no_file_is_refused)
{
	struct mm *mm = new_space();
	int ends[2];

	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(map_file(mm, PAGES(1), -1, 0), EBADF);
	CHECK_EQ(map_file(mm, 0, -1, 0), EBADF);
	CHECK_EQ(map_file(mm, PAGES(1), ends[0], 0), ENODEV);
	CHECK_EQ(map_file(mm, PAGES(1), -1, 1), EINVAL);
	close(ends[0]);
	close(ends[1]);
	end_space(mm);
}

TEST(mm_mmap, one_vma_more_than_the_limit_can_be_mapped_as_in_linux)
{
	struct mm *mm = new_space_of_vmas(3);

	for (unsigned int i = 0; i < 4; i++)
		map(mm, 2 * i, 1, RW);
	CHECK_EQ(try_map(mm, 0, PAGES(1), PRIVATE), ENOMEM);
	CHECK_EQ(try_map(mm, AT(1), PAGES(1), PRIVATE | MM_MAP_FIXED), ENOMEM);
	CHECK_VMAS(mm, "0-1:rw-p 2-3:rw-p 4-5:rw-p 6-7:rw-p");
	CHECK_EQ(mm_munmap(mm, AT(6), PAGES(1)), 0);
	map(mm, 1, 1, RW);
	CHECK_VMAS(mm, "0-3:rw-p 4-5:rw-p");
	end_space(mm);
}

TEST(mm_mmap, too_many_vmas_are_said_before_a_bad_place)
{
	struct mm *mm = new_space_of_vmas(1);

	map(mm, 0, 1, RW);
	CHECK_EQ(try_map(mm, AT(4) + 1, PAGES(1), PRIVATE | MM_MAP_FIXED), EINVAL);
	CHECK_EQ(try_map(mm, 0, PAGES(1), PRIVATE | MM_MAP_FIXED), EPERM);
	CHECK_EQ(try_map(mm, AT(0), PAGES(1), PRIVATE | MM_MAP_FIXED_NOREPLACE), EEXIST);
	map(mm, 2, 1, RW);
	CHECK_EQ(try_map(mm, AT(4) + 1, PAGES(1), PRIVATE | MM_MAP_FIXED), ENOMEM);
	CHECK_EQ(try_map(mm, 0, PAGES(1), PRIVATE | MM_MAP_FIXED), ENOMEM);
	CHECK_EQ(try_map(mm, 0, PAGES(1), PRIVATE | MM_MAP_FIXED_NOREPLACE), ENOMEM);
	CHECK_EQ(try_map(mm, AT(0), PAGES(1), PRIVATE | MM_MAP_FIXED_NOREPLACE), ENOMEM);
	CHECK_EQ(try_map(mm, AT(4), PAGES(1), MM_MAP_ANONYMOUS), ENOMEM);
	/* The length is checked before the number of VMAs. */
	CHECK_EQ(try_map(mm, AT(4) + 1, 0, PRIVATE | MM_MAP_FIXED), EINVAL);
	end_space(mm);
}

TEST(mm_mmap, fixed_in_the_middle_of_a_vma_needs_room_for_one_more)
{
	struct mm *mm = new_space_of_vmas(2);

	map(mm, 0, 3, RW);
	map(mm, 4, 1, RW);
	CHECK_EQ(poke(mm, AT(1), 1), 0);
	CHECK_EQ(try_map(mm, AT(1), PAGES(1), PRIVATE | MM_MAP_FIXED), ENOMEM);
	CHECK_EQ(peek(mm, AT(1)), 1);
	CHECK_VMAS(mm, "0-3:rw-p 4-5:rw-p");
	CHECK_EQ(mm_munmap(mm, AT(4), PAGES(1)), 0);
	map(mm, 1, 1, R);
	CHECK_VMAS(mm, "0-1:rw-p 1-2:r--p 2-3:rw-p");
	end_space(mm);
}
