/* SPDX-License-Identifier: MIT */
#include "spaces.h"

TEST(mm_access, bytes_come_back_as_they_were_written)
{
	struct mm *mm = new_space();
	unsigned char out[3 * 4096], in[sizeof(out)];

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)(i * 7 + i / 4096);
	map(mm, 0, 4, RW);
	CHECK_EQ(mm_write(mm, AT(0) + 77, out, sizeof(out), NULL), 0);
	CHECK_EQ(mm_read(mm, AT(0) + 77, in, sizeof(in), NULL), 0);
	CHECK(!memcmp(in, out, sizeof(in)));
	CHECK_EQ(peek(mm, AT(0) + 76), 0);
	CHECK_EQ(peek(mm, AT(3) + 77), 0);
	CHECK_EQ(stats_of(mm).pages, 4);
	end_space(mm);
}

TEST(mm_access, nothing_is_touched_for_no_bytes)
{
	struct mm *mm = new_space();

	CHECK_EQ(mm_read(mm, AT(0), NULL, 0, NULL), 0);
	CHECK_EQ(mm_write(mm, UINT64_MAX, NULL, 0, NULL), 0);
	CHECK_EQ(stats_of(mm).faults, 0);
	end_space(mm);
}

TEST(mm_access, bytes_before_the_bad_byte_are_copied)
{
	struct mm *mm = new_space();
	struct mm_siginfo info;
	unsigned char bytes[20];

	memset(bytes, 5, sizeof(bytes));
	map(mm, 0, 1, RW);
	map(mm, 1, 1, R);
	CHECK_EQ(mm_write(mm, AT(1) - 10, bytes, sizeof(bytes), &info), EFAULT);
	CHECK_EQ(info.addr, AT(1));
	CHECK_EQ(info.code, MM_SEGV_ACCERR);
	CHECK_EQ(peek(mm, AT(1) - 10), 5);
	CHECK_EQ(peek(mm, AT(1) - 1), 5);
	CHECK_EQ(peek(mm, AT(1)), 0);
	CHECK_EQ(mm_read(mm, AT(2) - 3, bytes, sizeof(bytes), &info), EFAULT);
	CHECK_EQ(info.addr, AT(2));
	CHECK_EQ(info.code, MM_SEGV_MAPERR);
	CHECK_EQ(bytes[2], 0);
	CHECK_EQ(bytes[3], 5);
	CHECK_EQ(mm_read(mm, AT(2) - 3, bytes, sizeof(bytes), NULL), EFAULT);
	end_space(mm);
}

TEST(mm_access, the_ends_of_the_address_space_are_not_mapped)
{
	struct mm *mm = new_space();
	unsigned char bytes[2];
	struct mm_siginfo info;

	CHECK_EQ(peek(mm, 0), -MM_SEGV_MAPERR);
	CHECK_EQ(peek(mm, MM_ADDR_MAX), -MM_SEGV_MAPERR);
	CHECK_EQ(peek(mm, UINT64_MAX), -MM_SEGV_MAPERR);
	CHECK_EQ(try_map(mm, MM_ADDR_MAX - PAGES(1), PAGES(1), PRIVATE | MM_MAP_FIXED), 0);
	CHECK_EQ(mm_read(mm, MM_ADDR_MAX - 1, bytes, 2, &info), EFAULT);
	CHECK_EQ(info.addr, MM_ADDR_MAX);
	CHECK_EQ(mm_read(mm, UINT64_MAX, bytes, 2, &info), EFAULT);
	CHECK_EQ(info.addr, UINT64_MAX);
	end_space(mm);
}

TEST(mm_access, pages_are_present_only_after_a_fault)
{
	struct mm *mm = new_space();
	struct mm_siginfo info;

	map(mm, 0, 1, R);
	CHECK_EQ(stats_of(mm).pages, 0);
	CHECK_EQ(mm_fault(mm, AT(0) + 9, R, &info), 0);
	CHECK_EQ(stats_of(mm).pages, 1);
	CHECK_EQ(mm_fault(mm, AT(0) + 4000, R, NULL), 0);
	CHECK_EQ(mm_fault(mm, AT(0) + 5, W, &info), EFAULT);
	CHECK_EQ(info.addr, AT(0) + 5);
	CHECK_EQ(info.code, MM_SEGV_ACCERR);
	CHECK_EQ(mm_fault(mm, AT(0), R | X, &info), EFAULT);
	CHECK_EQ(mm_fault(mm, AT(1), R, &info), EFAULT);
	CHECK_EQ(info.code, MM_SEGV_MAPERR);
	CHECK_EQ(mm_fault(mm, AT(1), R, NULL), EFAULT);
	CHECK_EQ(stats_of(mm).faults, 6);
	CHECK_EQ(stats_of(mm).faults_minor, 1);
	CHECK_EQ(stats_of(mm).faults_present, 1);
	CHECK_EQ(stats_of(mm).faults_failed, 4);
	end_space(mm);
}

TEST(mm_access, a_fault_wants_a_known_access)
{
	struct mm *mm = new_space();

	map(mm, 0, 1, RW);
	CHECK_EQ(mm_fault(mm, AT(0), 0, NULL), EINVAL);
	CHECK_EQ(mm_fault(mm, AT(0), 8, NULL), EINVAL);
	CHECK_EQ(mm_fault(mm, AT(0), R | 8, NULL), EINVAL);
	CHECK_EQ(stats_of(mm).faults, 0);
	end_space(mm);
}

TEST(mm_access, executable_pages_can_be_executed_only_where_allowed)
{
	struct mm *mm = new_space();

	map(mm, 0, 1, R | X);
	map(mm, 1, 1, RW);
	CHECK_EQ(mm_fault(mm, AT(0), X, NULL), 0);
	CHECK_EQ(mm_fault(mm, AT(1), X, NULL), EFAULT);
	end_space(mm);
}

TEST(mm_access, the_limit_of_pages_is_exact_and_a_freed_page_can_be_had_again)
{
	struct mm *mm = new_space_of_pages(130);

	map(mm, 0, 200, RW);
	for (unsigned int i = 0; i < 130; i++)
		CHECK_EQ(poke(mm, AT(i), 1), 0);
	CHECK_EQ(mm_fault(mm, AT(130), R, NULL), ENOMEM);
	CHECK_EQ(mm_write(mm, AT(129) + 4095, "ab", 2, NULL), ENOMEM);
	CHECK_EQ(peek(mm, AT(129) + 4095), 'a');
	CHECK_EQ(stats_of(mm).pages, 130);
	check_space(mm);
	CHECK_EQ(mm_madvise(mm, AT(5), PAGES(1), MM_MADV_DONTNEED), 0);
	CHECK_EQ(mm_fault(mm, AT(130), R, NULL), 0);
	CHECK_EQ(mm_fault(mm, AT(131), R, NULL), ENOMEM);
	end_space(mm);
}
