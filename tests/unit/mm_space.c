/* SPDX-License-Identifier: MIT */
#include "mm/internal.h"
#include "spaces.h"

TEST(mm_space, defaults_are_as_documented)
{
	struct mm_attr attr;

	mm_attr_init(&attr);
	CHECK_EQ(attr.locking, MM_LOCKING_RANGE);
	CHECK_EQ(attr.brk_start, UINT64_C(0x555555556000));
	CHECK(attr.max_pages == UINT64_MAX);
	CHECK_EQ(attr.max_areas, 65530);
}

TEST(mm_space, bad_attributes_are_refused)
{
	struct mm_attr attr;
	struct mm *mm = NULL;

	mm_attr_init(&attr);
	attr.brk_start++;
	CHECK_EQ(mm_create(&mm, &attr), EINVAL);
	attr.brk_start = 0;
	CHECK_EQ(mm_create(&mm, &attr), EINVAL);
	attr.brk_start = MM_ADDR_MAX;
	CHECK_EQ(mm_create(&mm, &attr), EINVAL);
	mm_attr_init(&attr);
	attr.locking = (enum mm_locking)3;
	CHECK_EQ(mm_create(&mm, &attr), EINVAL);
	CHECK(!mm);
}

TEST(mm_space, a_space_can_be_destroyed_with_all_that_is_in_it)
{
	for (size_t i = 0; i < NR_LOCKINGS; i++) {
		struct mm *mm = new_space_locking(lockings[i]);

		for (unsigned int page = 0; page < 2000; page += 2) {
			map(mm, page, 1, RW);
			CHECK_EQ(poke(mm, AT(page), 1), 0);
		}
		mm_destroy(mm);
	}
}

TEST(mm_space, a_new_space_is_empty)
{
	struct mm *mm = new_space();
	struct mm_stats stats = stats_of(mm);

	CHECK_EQ(stats.areas, 0);
	CHECK_EQ(stats.pages, 0);
	CHECK_EQ(stats.tables, 1);
	CHECK_EQ(stats.faults, 0);
	CHECK(stats.lock_leaves >= 1);
	end_space(mm);
}

static int stop_at_third(const struct mm_area *area, void *arg)
{
	int *visits = arg;

	CHECK_EQ(area->flags, PRIVATE);
	return ++*visits == 3 ? 42 : 0;
}

TEST(mm_space, a_visitor_can_end_the_walk)
{
	struct mm *mm = new_space();
	int visits = 0;

	for (unsigned int i = 0; i < 5; i++)
		map_as(mm, 2 * i, 1, RW, PRIVATE | MM_MAP_STACK);
	CHECK_EQ(mm_for_each_area(mm, stop_at_third, &visits), 42);
	CHECK_EQ(visits, 3);
	end_space(mm);
}

static int unmap_visited(const struct mm_area *area, void *arg)
{
	return mm_munmap(arg, area->start, area->end - area->start);
}

TEST(mm_space, a_visitor_may_change_the_space)
{
	struct mm *mm = new_space();

	for (unsigned int i = 0; i < 5; i++)
		map(mm, 2 * i, 1, RW);
	CHECK_EQ(mm_for_each_area(mm, unmap_visited, mm), 0);
	CHECK_AREAS(mm, "");
	end_space(mm);
}

/* Ten pages, mapped in two. */
static struct mm *space_to_break(void)
{
	struct mm *mm = new_space();

	map(mm, 0, 5, RW);
	map(mm, 5, 5, R);
	for (unsigned int i = 0; i < 10; i++)
		CHECK_EQ(mm_fault(mm, AT(i), R, NULL), 0);
	check_space(mm);
	return mm;
}

static void check_broken(struct mm *mm, const char *expected)
{
	char message[100] = "";

	CHECK(mm_validate(mm, message, sizeof(message)) != 0);
	if (!strstr(message, expected))
		test_fail(__FILE__, __LINE__, "\"%s\" says nothing of \"%s\"", message, expected);
	CHECK(mm_validate(mm, NULL, 0) != 0);
	CHECK(mm_validate(mm, message, 5) != 0);
	CHECK_EQ(strlen(message), 4);
	mm_destroy(mm);
}

static _Atomic(uintptr_t) *entry_of(struct mm *mm, unsigned int page)
{
	return mm__table_entry(mm__table_find(&mm->page_table, AT(page)), AT(page));
}

TEST(mm_validate, finds_areas_that_are_not_merged)
{
	struct mm *mm = space_to_break();
	struct mm__area area = *mm__area_at(mm, AT(5));

	area.prot = RW;
	mm__area_tree_change(&mm->areas, AT(5), &area);
	mm__pages_protect(&mm->page_table, AT(5), AT(10), RW);
	check_broken(mm, "not merged");
}

TEST(mm_validate, finds_an_area_that_is_not_aligned)
{
	struct mm *mm = space_to_break();
	struct mm__area area = *mm__area_at(mm, AT(5));

	area.end--;
	mm__area_tree_change(&mm->areas, AT(5), &area);
	check_broken(mm, "not aligned");
}

TEST(mm_validate, finds_a_page_outside_of_all_areas)
{
	struct mm *mm = space_to_break();

	mm__area_tree_erase(&mm->areas, AT(5));
	check_broken(mm, "in no area");
}

TEST(mm_validate, finds_an_entry_that_allows_too_much)
{
	struct mm *mm = space_to_break();

	*entry_of(mm, 7) |= W;
	check_broken(mm, "allows");
}

TEST(mm_validate, finds_a_page_that_is_mapped_twice)
{
	struct mm *mm = space_to_break();

	*entry_of(mm, 1) = *entry_of(mm, 0);
	check_broken(mm, "mapped twice");
}

TEST(mm_validate, finds_a_page_that_was_lost)
{
	struct mm *mm = space_to_break();

	CHECK(mm__frame_alloc(&mm->frames));
	check_broken(mm, "11 pages are in use, and 10 are present");
}

TEST(mm_validate, finds_a_page_that_is_mapped_and_free)
{
	struct mm *mm = space_to_break();
	struct mm__frame_list list = { NULL, NULL, 0 };
	void *lost = mm__frame_alloc(&mm->frames);

	CHECK(lost);
	mm__frame_list_add(&list, mm__entry_frame(*entry_of(mm, 3)));
	mm__frame_list_free(&mm->frames, &list);
	check_broken(mm, "is both");
}

TEST(mm_validate, finds_a_wrong_count_in_a_table)
{
	struct mm *mm = space_to_break();

	mm__table_find(&mm->page_table, AT(0))->nr_present++;
	check_broken(mm, "counts 11 pages, and has 10");
}

TEST(mm_validate, finds_a_wrong_number_of_tables)
{
	struct mm *mm = space_to_break();

	mm__count_event(&mm->frames, MM__TABLE_MADE);
	check_broken(mm, "4 page tables, and 5");
}

TEST(mm_space, a_fault_beside_pages_that_move_may_make_their_table)
{
	struct mm *mm = new_space();
	struct mm__page_table *pt = &mm->page_table;
	uint64_t from = BASE + PAGES(1), to = BASE + PAGES(4 * 512);

	/*
	 * The target needs no table, as there is nothing to move; then the other page of the
	 * source's gets one.
	 */
	CHECK_EQ(mm__pages_prepare_move(pt, from, to, PAGES(1)), 0);
	CHECK(!mm__table_find(pt, to));
	map(mm, 0, 1, RW);
	CHECK_EQ(mm_fault(mm, BASE, MM_PROT_WRITE, NULL), 0);
	mm__pages_move(pt, from, to, PAGES(1), RW);
	CHECK(!mm__table_find(pt, to));
	end_space(mm);
}
