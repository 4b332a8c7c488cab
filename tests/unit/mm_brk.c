/* SPDX-License-Identifier: MIT */
#include "spaces.h"

static struct mm *new_heap(void)
{
	struct mm_attr attr;

	mm_attr_init(&attr);
	attr.brk_start = AT(0);
	attr.max_areas = 3;
	return new_space_with(&attr);
}

static uint64_t move_brk(struct mm *mm, uint64_t brk)
{
	uint64_t result = 1;

	CHECK_EQ(mm_brk(mm, brk, &result), 0);
	return result;
}

TEST(mm_brk, the_heap_begins_empty)
{
	struct mm_attr attr;
	struct mm *mm = new_space();

	mm_attr_init(&attr);
	CHECK_EQ(move_brk(mm, 0), attr.brk_start);
	CHECK_AREAS(mm, "");
	end_space(mm);
}

TEST(mm_brk, the_heap_grows_and_shrinks_by_pages_and_the_end_moves_by_bytes)
{
	struct mm *mm = new_heap();

	CHECK_EQ(move_brk(mm, AT(0) + 1), AT(0) + 1);
	CHECK_AREAS(mm, "0-1:rw-p");
	CHECK_EQ(move_brk(mm, AT(0) + 100), AT(0) + 100);
	CHECK_AREAS(mm, "0-1:rw-p");
	CHECK_EQ(move_brk(mm, AT(3)), AT(3));
	CHECK_AREAS(mm, "0-3:rw-p");
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(poke(mm, AT(2), 1), 0);
	CHECK_EQ(move_brk(mm, AT(1) + 1), AT(1) + 1);
	CHECK_AREAS(mm, "0-2:rw-p");
	CHECK_EQ(stats_of(mm).pages, 1);
	CHECK_EQ(move_brk(mm, AT(3)), AT(3));
	CHECK_EQ(peek(mm, AT(2)), 0);
	CHECK_EQ(move_brk(mm, AT(0)), AT(0));
	CHECK_AREAS(mm, "");
	end_space(mm);
}

TEST(mm_brk, the_end_stays_where_it_cannot_be_moved)
{
	struct mm *mm = new_heap();

	CHECK_EQ(move_brk(mm, AT(2)), AT(2));
	CHECK_EQ(move_brk(mm, AT(0) - 1), AT(2));
	CHECK_EQ(move_brk(mm, MM_ADDR_MAX + 1), AT(2));
	CHECK_EQ(move_brk(mm, UINT64_MAX), AT(2));
	CHECK_AREAS(mm, "0-2:rw-p");
	end_space(mm);
}

TEST(mm_brk, a_page_stays_free_between_the_heap_and_what_follows)
{
	struct mm *mm = new_heap();

	map(mm, 4, 1, R);
	CHECK_EQ(move_brk(mm, AT(4)), AT(0));
	CHECK_EQ(move_brk(mm, AT(3) + 1), AT(0));
	CHECK_EQ(move_brk(mm, AT(3)), AT(3));
	CHECK_AREAS(mm, "0-3:rw-p 4-5:r--p");
	end_space(mm);
}

TEST(mm_brk, what_the_caller_did_to_the_heap_is_respected)
{
	struct mm *mm = new_heap();

	CHECK_EQ(move_brk(mm, AT(4)), AT(4));
	CHECK_EQ(mm_munmap(mm, AT(2), PAGES(2)), 0);
	CHECK_EQ(move_brk(mm, AT(2)), AT(4));
	CHECK_EQ(move_brk(mm, AT(3)), AT(4));
	map(mm, 3, 1, R);
	CHECK_EQ(move_brk(mm, AT(1)), AT(1));
	CHECK_AREAS(mm, "0-1:rw-p");
	end_space(mm);
}

TEST(mm_brk, too_many_areas_keep_the_heap_from_growing)
{
	struct mm *mm = new_heap();

	for (unsigned int i = 0; i < 4; i++)
		map(mm, 10 + 2 * i, 1, R);
	CHECK_EQ(move_brk(mm, AT(1)), AT(0));
	CHECK_EQ(mm_munmap(mm, AT(10), PAGES(1)), 0);
	CHECK_EQ(move_brk(mm, AT(1)), AT(1));
	end_space(mm);
}
