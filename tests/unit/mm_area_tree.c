/* SPDX-License-Identifier: MIT */
#include "mm/area_tree.h"
#include "test.h"

#include <stdlib.h>

static struct mm__area area(uint64_t start, uint64_t end)
{
	return (struct mm__area){ start, end, 1, 2, 3, 4 };
}

static void insert(struct mm__area_tree *tree, uint64_t start, uint64_t end)
{
	struct mm__area new = area(start, end);

	CHECK_EQ(mm__area_tree_reserve(tree, 1), 0);
	mm__area_tree_insert(tree, &new);
}

static void check_tree(const struct mm__area_tree *tree)
{
	const char *what;

	if (!mm__area_tree_valid(tree, &what))
		test_fail(__FILE__, __LINE__, "%s", what);
}

TEST(mm_area_tree, an_empty_tree_is_one_gap)
{
	struct mm__area_tree tree;
	uint64_t addr;

	mm__area_tree_init(&tree);
	check_tree(&tree);
	CHECK(!mm__area_tree_find(&tree, 0));
	CHECK(mm__area_tree_highest_gap(&tree, 90, 10, 100, &addr));
	CHECK_EQ(addr, 10);
	CHECK(!mm__area_tree_highest_gap(&tree, 91, 10, 100, &addr));
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, find_gives_the_area_that_contains_or_else_the_next)
{
	struct mm__area_tree tree;

	mm__area_tree_init(&tree);
	for (uint64_t i = 0; i < 1000; i++)
		insert(&tree, (i * 37 % 1000) * 10, (i * 37 % 1000) * 10 + 5);
	check_tree(&tree);
	CHECK_EQ(tree.count, 1000);
	for (uint64_t addr = 0; addr < 9995; addr++)
		CHECK_EQ(mm__area_tree_find(&tree, addr)->start, (addr + 5) / 10 * 10);
	CHECK(!mm__area_tree_find(&tree, 9995));
	CHECK(!mm__area_tree_find(&tree, UINT64_MAX));
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, an_area_keeps_all_it_was_given)
{
	struct mm__area_tree tree;
	const struct mm__area *found;
	struct mm__area changed = { 4, 9, 5, 6, 7, 8 };

	mm__area_tree_init(&tree);
	insert(&tree, 5, 8);
	found = mm__area_tree_find(&tree, 5);
	CHECK(found->start == 5 && found->end == 8 && found->prot == 1 && found->flags == 2 &&
	      found->object == 3 && found->offset == 4);
	mm__area_tree_change(&tree, 5, &changed);
	found = mm__area_tree_find(&tree, 8);
	CHECK(found->start == 4 && found->end == 9 && found->prot == 5 && found->flags == 6 &&
	      found->object == 7 && found->offset == 8);
	check_tree(&tree);
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, the_highest_gap_that_fits_is_found_within_bounds)
{
	struct mm__area_tree tree;
	uint64_t addr;

	mm__area_tree_init(&tree);
	insert(&tree, 10, 20);
	insert(&tree, 30, 40);
	insert(&tree, 42, 50);
	CHECK(mm__area_tree_highest_gap(&tree, 2, 0, 50, &addr));
	CHECK_EQ(addr, 40);
	CHECK(mm__area_tree_highest_gap(&tree, 3, 0, 50, &addr));
	CHECK_EQ(addr, 27);
	CHECK(mm__area_tree_highest_gap(&tree, 10, 0, 50, &addr));
	CHECK_EQ(addr, 20);
	CHECK(mm__area_tree_highest_gap(&tree, 10, 0, 29, &addr));
	CHECK_EQ(addr, 0);
	CHECK(!mm__area_tree_highest_gap(&tree, 11, 0, 50, &addr));
	CHECK(mm__area_tree_highest_gap(&tree, 1, 0, 51, &addr));
	CHECK_EQ(addr, 50);
	CHECK(mm__area_tree_highest_gap(&tree, 5, 25, 41, &addr));
	CHECK_EQ(addr, 25);
	CHECK(!mm__area_tree_highest_gap(&tree, 5, 26, 41, &addr));
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, what_is_reserved_is_enough_for_growth_from_nothing)
{
	struct mm__area_tree tree;

	mm__area_tree_init(&tree);
	CHECK_EQ(mm__area_tree_reserve(&tree, 100), 0);
	for (uint64_t i = 0; i < 100; i++) {
		struct mm__area new = area(i, i + 1);

		mm__area_tree_insert(&tree, &new);
	}
	check_tree(&tree);
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, is_empty_again_when_all_is_erased_in_any_order)
{
	for (uint64_t step = 1; step < 1009; step = step * 3 + 1) {
		struct mm__area_tree tree;

		mm__area_tree_init(&tree);
		for (uint64_t i = 0; i < 1009; i++)
			insert(&tree, i, i + 1);
		for (uint64_t i = 0; i < 1009; i++) {
			mm__area_tree_erase(&tree, i * step % 1009);
			if (i % 16 == 0)
				check_tree(&tree);
		}
		CHECK_EQ(tree.count, 0);
		check_tree(&tree);
		mm__area_tree_destroy(&tree);
	}
}
