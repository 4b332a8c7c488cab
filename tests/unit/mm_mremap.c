/* SPDX-License-Identifier: MIT */
#include "spaces.h"

#define MAYMOVE MM_MREMAP_MAYMOVE
#define FIXED   (MM_MREMAP_MAYMOVE | MM_MREMAP_FIXED)

/* In pages from BASE. */
static int remap(struct mm *mm, unsigned int old, unsigned int old_pages, unsigned int new_pages)
{
	uint64_t result = 1;
	int error = mm_mremap(mm, AT(old), PAGES(old_pages), PAGES(new_pages), 0, 0, &result);

	CHECK_EQ(result, error ? 1 : AT(old));
	return error;
}

static int remap_to(struct mm *mm, unsigned int old, unsigned int old_pages, unsigned int new_pages,
		    unsigned int to)
{
	uint64_t result = 1;
	int error =
		mm_mremap(mm, AT(old), PAGES(old_pages), PAGES(new_pages), FIXED, AT(to), &result);

	CHECK_EQ(result, error ? 1 : AT(to));
	return error;
}

static int raw(struct mm *mm, uint64_t old, uint64_t old_length, uint64_t new_length, int flags,
	       uint64_t to)
{
	uint64_t result;

	return mm_mremap(mm, old, old_length, new_length, flags, to, &result);
}

/* Writes i + 1 to page i. */
static void number_pages(struct mm *mm, unsigned int first, unsigned int n)
{
	for (unsigned int i = first; i < first + n; i++)
		CHECK_EQ(poke(mm, AT(i), (int)i + 1), 0);
}

TEST(mm_mremap, grows_in_place_and_merges_with_the_next_vma)
{
	struct mm *mm = new_space();

	map(mm, 0, 4, RW);
	map(mm, 6, 2, RW);
	number_pages(mm, 0, 4);
	CHECK_EQ(remap(mm, 0, 4, 6), 0);
	CHECK_VMAS(mm, "0-8:rw-p");
	CHECK_EQ(peek(mm, AT(3)), 4);
	CHECK_EQ(peek(mm, AT(4)), 0);
	end_space(mm);
}

TEST(mm_mremap, grows_in_place_from_the_end_of_a_vma)
{
	struct mm *mm = new_space();

	map(mm, 0, 4, RW);
	CHECK_EQ(remap(mm, 2, 2, 5), 0);
	CHECK_VMAS(mm, "0-7:rw-p");
	end_space(mm);
}

TEST(mm_mremap, shrinks_and_frees_the_rest)
{
	struct mm *mm = new_space();

	map(mm, 0, 4, RW);
	number_pages(mm, 0, 4);
	CHECK_EQ(remap(mm, 0, 4, 3), 0);
	CHECK_EQ(stats_of(mm).pages, 3);
	CHECK_VMAS(mm, "0-3:rw-p");
	map(mm, 5, 2, R);
	CHECK_EQ(remap(mm, 0, 6, 1), 0);
	CHECK_VMAS(mm, "0-1:rw-p 6-7:r--p");
	CHECK_EQ(peek(mm, AT(0)), 1);
	end_space(mm);
}

TEST(mm_mremap, the_same_length_is_no_change)
{
	struct mm *mm = new_space();

	map(mm, 0, 4, RW);
	CHECK_EQ(remap(mm, 1, 2, 2), 0);
	CHECK_EQ(remap(mm, 0, 8, 8), 0);
	CHECK_EQ(raw(mm, AT(0), 1, PAGES(1), 0, 0), 0);
	CHECK_VMAS(mm, "0-4:rw-p");
	end_space(mm);
}

TEST(mm_mremap, moves_when_it_may_and_must)
{
	struct mm *mm = new_space();
	uint64_t to;

	map(mm, 0, 2, RW);
	map(mm, 2, 1, R);
	number_pages(mm, 0, 2);
	CHECK_EQ(remap(mm, 0, 2, 3), ENOMEM);
	CHECK_EQ(remap(mm, 0, 1, 2), ENOMEM);
	CHECK_VMAS(mm, "0-2:rw-p 2-3:r--p");
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(2), PAGES(3), MAYMOVE, 0, &to), 0);
	CHECK_EQ(to, MM_ADDR_MAX - PAGES(3));
	CHECK_EQ(peek(mm, to), 1);
	CHECK_EQ(peek(mm, to + PAGES(1)), 2);
	CHECK_EQ(peek(mm, to + PAGES(2)), 0);
	CHECK_EQ(peek(mm, AT(0)), -MM_SEGV_MAPERR);
	CHECK_EQ(poke(mm, to, 8), 0);
	CHECK_EQ(mm_munmap(mm, to, PAGES(3)), 0);
	CHECK_VMAS(mm, "2-3:r--p");
	end_space(mm);
}

TEST(mm_mremap, stays_when_it_may_move_but_need_not)
{
	struct mm *mm = new_space();
	uint64_t to;

	map(mm, 0, 2, RW);
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(2), PAGES(5), MAYMOVE, 0, &to), 0);
	CHECK_EQ(to, AT(0));
	CHECK_VMAS(mm, "0-5:rw-p");
	end_space(mm);
}

TEST(mm_mremap, fixed_moves_a_part_and_replaces_the_mappings_there)
{
	struct mm *mm = new_space();

	map(mm, 0, 8, RW);
	number_pages(mm, 0, 8);
	CHECK_EQ(remap_to(mm, 0, 2, 2, 2), 0);
	CHECK_VMAS(mm, "2-8:rw-p");
	CHECK_EQ(peek(mm, AT(2)), 1);
	CHECK_EQ(peek(mm, AT(3)), 2);
	CHECK_EQ(peek(mm, AT(4)), 5);
	CHECK_EQ(stats_of(mm).pages, 6);
	CHECK_EQ(remap_to(mm, 2, 4, 1, 30), 0);
	CHECK_VMAS(mm, "6-8:rw-p 30-31:rw-p");
	CHECK_EQ(peek(mm, AT(30)), 1);
	CHECK_EQ(remap_to(mm, 30, 1, 3, 0), 0);
	CHECK_VMAS(mm, "0-3:rw-p 6-8:rw-p");
	CHECK_EQ(peek(mm, AT(0)), 1);
	CHECK_EQ(peek(mm, AT(1)), 0);
	CHECK_EQ(remap_to(mm, 1, 1, 1, 40), 0);
	CHECK_VMAS(mm, "0-1:rw-p 2-3:rw-p 6-8:rw-p 40-41:rw-p");
	end_space(mm);
}

TEST(mm_mremap, fixed_shrinking_may_reach_beyond_the_vma)
{
	struct mm *mm = new_space();

	map(mm, 0, 1, RW);
	map(mm, 2, 2, R);
	number_pages(mm, 0, 1);
	CHECK_EQ(remap_to(mm, 0, 3, 1, 10), 0);
	CHECK_VMAS(mm, "3-4:r--p 10-11:rw-p");
	CHECK_EQ(peek(mm, AT(10)), 1);
	end_space(mm);
}

TEST(mm_mremap, moved_pages_keep_the_protection_of_their_vma)
{
	struct mm *mm = new_space();

	map(mm, 0, 2, RW);
	number_pages(mm, 0, 2);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(2), R), 0);
	CHECK_EQ(remap_to(mm, 0, 2, 2, 10), 0);
	CHECK_EQ(poke(mm, AT(10), 1), -MM_SEGV_ACCERR);
	CHECK_EQ(peek(mm, AT(11)), 2);
	check_space(mm);
	CHECK_EQ(mm_mprotect(mm, AT(10), PAGES(2), NONE), 0);
	CHECK_EQ(remap_to(mm, 10, 2, 2, 0), 0);
	CHECK_EQ(peek(mm, AT(0)), -MM_SEGV_ACCERR);
	CHECK_EQ(mm_mprotect(mm, AT(0), PAGES(2), RW), 0);
	CHECK_EQ(peek(mm, AT(1)), 2);
	end_space(mm);
}

TEST(mm_mremap, moved_parts_of_a_shared_mapping_keep_their_order)
{
	struct mm *mm = new_space();

	map_as(mm, 0, 4, RW, SHARED);
	number_pages(mm, 0, 4);
	CHECK_EQ(remap_to(mm, 2, 2, 2, 10), 0);
	CHECK_EQ(remap_to(mm, 0, 2, 2, 12), 0);
	CHECK_VMAS(mm, "10-12:rw-s 12-14:rw-s");
	CHECK_EQ(remap_to(mm, 12, 2, 2, 8), 0);
	CHECK_VMAS(mm, "8-12:rw-s");
	CHECK_EQ(peek(mm, AT(9)), 2);
	CHECK_EQ(remap(mm, 8, 4, 5), 0);
	CHECK_VMAS(mm, "8-13:rw-s");
	end_space(mm);
}

TEST(mm_mremap, large_moves_cross_tables_at_any_distance)
{
	struct mm *mm = new_space();
	const unsigned int n = 1500;
	unsigned int at = 100;

	map(mm, at, n, RW);
	for (unsigned int i = 0; i < n; i += 3)
		CHECK_EQ(poke(mm, AT(at + i), (int)i & 127), 0);
	for (unsigned int round = 0; round < 3; round++) {
		unsigned int to = round == 2 ? 511 : at + n + 1 + 255 * round;

		CHECK_EQ(remap_to(mm, at, n, n, to), 0);
		at = to;
		check_space(mm);
		for (unsigned int i = 0; i < n; i++)
			CHECK_EQ(peek(mm, AT(at + i)), i % 3 ? 0 : (int)i & 127);
		CHECK_EQ(mm_madvise(mm, AT(at), PAGES(n), MM_MADV_DONTNEED), 0);
		for (unsigned int i = 0; i < n; i += 3)
			CHECK_EQ(poke(mm, AT(at + i), (int)i & 127), 0);
	}
	end_space(mm);
}

TEST(mm_mremap, bad_calls_are_refused_in_the_order_of_linux)
{
	struct mm *mm = new_space();

	map(mm, 0, 4, RW);
	CHECK_EQ(raw(mm, AT(0) + 1, PAGES(1), PAGES(1), 0, 0), EINVAL);
	CHECK_EQ(raw(mm, AT(9) + 1, PAGES(1), PAGES(1), 0, 0), EINVAL);
	CHECK_EQ(raw(mm, AT(0), PAGES(1), 0, 0, 0), EINVAL);
	CHECK_EQ(raw(mm, AT(0), PAGES(1), PAGES(1), 8, 0), EINVAL);
	CHECK_EQ(raw(mm, AT(0), PAGES(1), MM_ADDR_MAX + 1, 0, 0), EINVAL);
	CHECK_EQ(raw(mm, AT(0), PAGES(1), UINT64_MAX, 0, 0), EINVAL);
	CHECK_EQ(raw(mm, AT(0), PAGES(1), MM_ADDR_MAX, MAYMOVE, 0), ENOMEM);
	CHECK_EQ(raw(mm, AT(0), PAGES(1), MM_ADDR_MAX, 0, 0), ENOMEM);
	CHECK_EQ(raw(mm, AT(0), UINT64_MAX, PAGES(1), 0, 0), EINVAL);
	CHECK_EQ(raw(mm, AT(0), MM_ADDR_MAX, PAGES(1), 0, 0), EINVAL);
	CHECK_EQ(remap(mm, 9, 1, 1), EFAULT);
	CHECK_EQ(remap(mm, 9, 1, 2), EFAULT);
	CHECK_EQ(remap(mm, 9, 2, 1), EFAULT);
	CHECK_EQ(raw(mm, MM_ADDR_MAX, PAGES(1), PAGES(1), 0, 0), EFAULT);
	CHECK_EQ(raw(mm, UINT64_MAX - 4095, PAGES(1), PAGES(2), MAYMOVE, 0), EFAULT);
	CHECK_EQ(raw(mm, AT(0), PAGES(5), PAGES(6), MAYMOVE, 0), EFAULT);
	CHECK_EQ(raw(mm, AT(0), 0, PAGES(1), MAYMOVE, 0), EINVAL);
	CHECK_VMAS(mm, "0-4:rw-p");
	end_space(mm);
}

TEST(mm_mremap, bad_fixed_targets_are_refused)
{
	struct mm *mm = new_space();

	map(mm, 0, 4, RW);
	map(mm, 8, 4, RW);
	number_pages(mm, 8, 4);
	CHECK_EQ(raw(mm, AT(0), PAGES(2), PAGES(2), MM_MREMAP_FIXED, AT(20)), EINVAL);
	CHECK_EQ(raw(mm, AT(0), PAGES(2), PAGES(2), FIXED, AT(20) + 1), EINVAL);
	CHECK_EQ(raw(mm, AT(0), PAGES(2), PAGES(2), FIXED, MM_ADDR_MAX - PAGES(1)), EINVAL);
	CHECK_EQ(raw(mm, AT(0), PAGES(2), PAGES(2), FIXED, MM_ADDR_MIN - PAGES(2)), EPERM);
	CHECK_EQ(remap_to(mm, 0, 2, 2, 1), EINVAL);
	CHECK_EQ(remap_to(mm, 1, 2, 2, 0), EINVAL);
	CHECK_EQ(remap_to(mm, 0, 4, 1, 3), EINVAL);
	/*
	 * An empty range overlaps the target that contains it. That is checked before the source.
	 */
	CHECK_EQ(remap_to(mm, 30, 0, 2, 29), EINVAL);
	CHECK_EQ(remap_to(mm, 30, 0, 2, 30), EFAULT);
	CHECK_EQ(remap_to(mm, 30, 1, 1, 8), EFAULT);
	CHECK_EQ(remap_to(mm, 3, 2, 2, 8), EFAULT);
	CHECK_EQ(remap_to(mm, 3, 2, 3, 8), EFAULT);
	CHECK_EQ(remap_to(mm, 0, 0, 1, 8), EINVAL);
	CHECK_VMAS(mm, "0-4:rw-p 8-12:rw-p");
	CHECK_EQ(stats_of(mm).pages, 4);
	end_space(mm);
}

TEST(mm_mremap, moves_need_room_for_four_more_vmas_and_fixed_ones_for_six)
{
	struct mm *mm = new_space_of_vmas(8);
	uint64_t to;

	map(mm, 0, 1, RW);
	for (unsigned int i = 1; i < 5; i++)
		map(mm, 2 * i, 1, RW);
	CHECK_EQ(mm_mremap(mm, AT(0), PAGES(1), PAGES(3), MAYMOVE, 0, &to), ENOMEM);
	CHECK_EQ(remap_to(mm, 0, 1, 1, 20), ENOMEM);
	CHECK_EQ(remap_to(mm, 30, 1, 1, 20), ENOMEM);
	CHECK_EQ(mm_munmap(mm, AT(8), PAGES(1)), 0);
	CHECK_EQ(remap_to(mm, 0, 1, 1, 20), ENOMEM);
	CHECK_EQ(mm_munmap(mm, AT(6), PAGES(1)), 0);
	CHECK_EQ(remap_to(mm, 0, 1, 1, 20), ENOMEM);
	CHECK_EQ(mm_munmap(mm, AT(4), PAGES(1)), 0);
	CHECK_EQ(remap_to(mm, 0, 1, 1, 20), 0);
	map(mm, 4, 1, RW);
	map(mm, 6, 1, RW);
	map(mm, 21, 1, R);
	CHECK_EQ(stats_of(mm).areas, 5);
	CHECK_EQ(mm_munmap(mm, AT(6), PAGES(1)), 0);
	CHECK_EQ(mm_mremap(mm, AT(20), PAGES(1), PAGES(3), MAYMOVE, 0, &to), 0);
	end_space(mm);
}

TEST(mm_mremap, too_many_vmas_are_reported_before_a_bad_source)
{
	uint64_t beyond[] = { MM_ADDR_MAX, UINT64_C(1) << 60, UINT64_MAX - 4095 };
	struct mm *mm = new_space_of_vmas(6);
	uint64_t to;

	for (unsigned int i = 0; i < 3; i++)
		CHECK_EQ(mm_mremap(mm, beyond[i], PAGES(1), PAGES(1), FIXED, AT(3), &to), EFAULT);
	map(mm, 0, 1, RW);
	for (unsigned int i = 0; i < 3; i++) {
		CHECK_EQ(mm_mremap(mm, beyond[i], PAGES(1), PAGES(1), FIXED, AT(3), &to), ENOMEM);
		CHECK_EQ(mm_mremap(mm, beyond[i], PAGES(1), PAGES(2), MAYMOVE, 0, &to), EFAULT);
		CHECK_EQ(mm_mremap(mm, beyond[i], PAGES(1), PAGES(1), FIXED, AT(3) + 1, &to),
			 EINVAL);
	}
	end_space(mm);
}

TEST(mm_mremap, shrinking_in_the_middle_of_a_vma_needs_room_for_one_more)
{
	struct mm *mm = new_space_of_vmas(1);

	map(mm, 0, 4, RW);
	CHECK_EQ(remap(mm, 0, 2, 1), ENOMEM);
	CHECK_VMAS(mm, "0-4:rw-p");
	CHECK_EQ(remap(mm, 0, 4, 1), 0);
	CHECK_VMAS(mm, "0-1:rw-p");
	end_space(mm);
}

TEST(mm_mremap, fixed_moves_within_a_border_node_take_no_lock_of_the_space)
{
	struct mm *mm = new_space();
	uint64_t before;

	map(mm, 0, 4, RW);
	map(mm, 100, 4, R);
	number_pages(mm, 0, 4);
	CHECK_EQ(remap_to(mm, 1, 2, 2, 20), 0);
	before = lock_holds(mm);
	CHECK_EQ(remap_to(mm, 20, 2, 2, 40), 0);
	CHECK_EQ(remap_to(mm, 40, 2, 3, 101), 0);
	CHECK_EQ(remap_to(mm, 101, 3, 1, 1), 0);
	CHECK_EQ(lock_holds(mm), before);
	CHECK_VMAS(mm, "0-2:rw-p 3-4:rw-p 100-101:r--p");
	CHECK_EQ(peek(mm, AT(1)), 2);
	end_space(mm);
}

/* Pages with unmapped pages between them, which need many border nodes. */
static void map_many(struct mm *mm, unsigned int first, unsigned int n)
{
	for (unsigned int i = first; i < first + 2 * n; i += 2)
		map(mm, i, 1, RW);
}

TEST(mm_mremap, fixed_moves_between_border_nodes_take_no_lock_of_the_space)
{
	struct mm *mm = new_space();
	uint64_t before;

	map_many(mm, 0, 100);
	map_many(mm, 1000, 3);
	number_pages(mm, 1002, 1);
	/* There and back, so that the recorded bounds of gaps are wide and there is room. */
	CHECK_EQ(remap_to(mm, 1002, 1, 1, 6), 0);
	CHECK_EQ(remap_to(mm, 6, 1, 1, 1002), 0);
	before = lock_holds(mm);
	for (unsigned int i = 0; i < 10; i++) {
		CHECK_EQ(remap_to(mm, 1002, 1, 1, 6), 0);
		CHECK_EQ(peek(mm, AT(6)), (unsigned char)1003);
		CHECK_EQ(remap_to(mm, 6, 1, 1, 1002), 0);
		CHECK_EQ(peek(mm, AT(1002)), (unsigned char)1003);
	}
	CHECK_EQ(lock_holds(mm), before);
	CHECK_EQ(peek(mm, AT(6)), -MM_SEGV_MAPERR);
	end_space(mm);
}

/* Both places are in the middle of a VMA, in a border node with any number of VMAs. */
TEST(mm_mremap, a_move_finds_room_for_three_more_vmas)
{
	for (unsigned int n = 0; n < 20; n++) {
		struct mm *mm = new_space();

		map(mm, 0, 9, RW);
		map_many(mm, 20, n);
		number_pages(mm, 0, 9);
		CHECK_EQ(remap_to(mm, 2, 1, 1, 6), 0);
		CHECK_EQ(stats_of(mm).areas, n + 2);
		CHECK_EQ(mm_mprotect(mm, AT(6), PAGES(1), R), 0);
		CHECK_EQ(stats_of(mm).areas, n + 4);
		CHECK_EQ(remap_to(mm, 6, 1, 1, 4), 0);
		CHECK_EQ(stats_of(mm).areas, n + 5);
		CHECK_EQ(peek(mm, AT(4)), 3);
		CHECK_EQ(peek(mm, AT(3)), 4);
		CHECK_EQ(peek(mm, AT(5)), 6);
		CHECK_EQ(peek(mm, AT(6)), -MM_SEGV_MAPERR);
		end_space(mm);
	}
}

TEST(mm_mremap, a_move_that_fails_makes_no_page_tables)
{
	struct mm *mm = new_space();
	uint64_t tables;

	map(mm, 0, 1, RW);
	number_pages(mm, 0, 1);
	tables = stats_of(mm).tables;
	for (uint64_t i = 1; i <= 4; i++) {
		uint64_t to = AT(0) + (i << 30);

		CHECK_EQ(raw(mm, AT(10), PAGES(1), PAGES(1), FIXED, to), EFAULT);
		CHECK_EQ(raw(mm, AT(0), PAGES(2), PAGES(2), FIXED, to), EFAULT);
	}
	CHECK_EQ(stats_of(mm).tables, tables);
	end_space(mm);
}
