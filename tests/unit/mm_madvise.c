/* SPDX-License-Identifier: MIT */
#include "mm/space.h"
#include "spaces.h"

#define DONTNEED MM_MADV_DONTNEED

TEST(mm_madvise, dontneed_frees_pages_which_read_as_zeroes_then)
{
	struct mm *mm = new_space();

	map(mm, 0, 3, RW);
	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(poke(mm, AT(i), 1), 0);
	CHECK_EQ(mm_madvise(mm, AT(1), 1, DONTNEED), 0);
	CHECK_EQ(stats_of(mm).pages, 2);
	CHECK_EQ(peek(mm, AT(0)), 1);
	CHECK_EQ(peek(mm, AT(1)), 0);
	CHECK_EQ(peek(mm, AT(2)), 1);
	CHECK_VMAS(mm, "0-3:rw-p");
	end_space(mm);
}

TEST(mm_madvise, dontneed_keeps_shared_pages)
{
	struct mm *mm = new_space();

	map_as(mm, 0, 1, RW, SHARED);
	CHECK_EQ(poke(mm, AT(0), 9), 0);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(1), DONTNEED), 0);
	CHECK_EQ(peek(mm, AT(0)), 9);
	end_space(mm);
}

TEST(mm_madvise, dontneed_needs_no_permission)
{
	struct mm *mm = new_space();

	map(mm, 0, 1, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(1), NONE), 0);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(1), DONTNEED), 0);
	CHECK_EQ(stats_of(mm).pages, 0);
	end_space(mm);
}

TEST(mm_madvise, holes_are_an_error_after_the_rest_has_been_done)
{
	struct mm *mm = new_space();

	map(mm, 1, 1, RW);
	map(mm, 3, 1, RW);
	CHECK_EQ(poke(mm, AT(1), 1), 0);
	CHECK_EQ(poke(mm, AT(3), 1), 0);
	CHECK_EQ(mm_madvise(mm, AT(1), PAGES(3), DONTNEED), ENOMEM);
	CHECK_EQ(stats_of(mm).pages, 0);
	CHECK_EQ(poke(mm, AT(1), 1), 0);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(2), DONTNEED), ENOMEM);
	CHECK_EQ(stats_of(mm).pages, 0);
	CHECK_EQ(poke(mm, AT(3), 1), 0);
	CHECK_EQ(mm_madvise(mm, AT(3), PAGES(5), DONTNEED), ENOMEM);
	CHECK_EQ(stats_of(mm).pages, 0);
	CHECK_EQ(mm_madvise(mm, AT(3), PAGES(1), DONTNEED), 0);
	CHECK_EQ(mm_madvise(mm, MM_ADDR_MAX + PAGES(1), PAGES(1), DONTNEED), ENOMEM);
	end_space(mm);
}

TEST(mm_madvise, bad_calls_are_refused)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	CHECK_EQ(mm_madvise(mm, AT(0) + 1, PAGES(1), DONTNEED), EINVAL);
	CHECK_EQ(mm_madvise(mm, AT(0) + 1, 0, DONTNEED), EINVAL);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(1), 999), EINVAL);
	CHECK_EQ(mm_madvise(mm, AT(0), 0, 999), EINVAL);
	CHECK_EQ(mm_madvise(mm, AT(0), UINT64_MAX, DONTNEED), EINVAL);
	CHECK_EQ(mm_madvise(mm, AT(0), UINT64_MAX - 8191, DONTNEED), EINVAL);
	CHECK_EQ(mm_madvise(mm, AT(0), 0, DONTNEED), 0);
	CHECK_EQ(mm_madvise(mm, AT(9), 0, DONTNEED), 0);
	end_space(mm);
}

/*
 * No thread frees in the background: a thread that only empties tables frees those that it emptied
 * before.
 */
TEST(mm_madvise, empty_tables_do_not_pile_up_in_a_thread_that_does_nothing_else)
{
	enum { TABLES = 1000 };
	struct mm *mm = new_space();

	map(mm, 0, TABLES * 512, RW);
	for (unsigned int i = 0; i < TABLES; i++)
		CHECK_EQ(poke(mm, AT(i * 512), 1), 0);
	for (unsigned int i = 0; i < TABLES; i++) {
		CHECK_EQ(mm_madvise(mm, AT(i * 512), PAGES(1), DONTNEED), 0);
		/* A quarter of the tables. */
		CHECK(mm__rcu_self->limbo.weight <= TABLES * MM__RCU_PAGE / 4);
	}
	end_space(mm);
}
