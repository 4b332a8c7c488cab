/* SPDX-License-Identifier: MIT */
#include "mm/area_tree.h"
#include "mm/rcu.h"
#include "test.h"

#include <stdlib.h>

/* The tree does not look at areas: any address will do. */
static struct mm__area *area(uint64_t number)
{
	return (struct mm__area *)(uintptr_t)number;
}

static struct mm__area_budget budget;

static void reserve(struct mm__area_tree *tree, unsigned int changes)
{
	struct mm__area_needs needs = { .now = changes };

	CHECK_EQ(mm__area_tree_reserve(tree, &budget, &needs), 0);
}

static struct mm__garbage *end_changes(struct mm__area_tree *tree)
{
	mm__area_tree_release(tree, &budget);
	return mm__area_tree_take_retired(tree);
}

static void insert(struct mm__area_tree *tree, uint64_t start, uint64_t end)
{
	struct mm__mapping m = { start, end, area(start + 1) };

	reserve(tree, 1);
	mm__area_tree_insert(tree, &budget, &m);
	mm__rcu_free(end_changes(tree));
}

static void erase(struct mm__area_tree *tree, uint64_t start)
{
	reserve(tree, 1);
	mm__area_tree_erase(tree, &budget, start);
	mm__rcu_free(end_changes(tree));
}

static void set(struct mm__area_tree *tree, uint64_t old, uint64_t start, uint64_t end)
{
	struct mm__mapping m = { start, end, area(start + 2) };

	reserve(tree, 1);
	mm__area_tree_set(tree, &budget, old, &m);
	mm__rcu_free(end_changes(tree));
}

static void check_mapping(const struct mm__mapping *m, uint64_t start, uint64_t end,
			  uint64_t number)
{
	CHECK_EQ(m->start, start);
	CHECK_EQ(m->end, end);
	CHECK(m->area == area(number));
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
	struct mm__mapping m;
	uint64_t addr;

	mm__area_tree_init(&tree);
	check_tree(&tree);
	CHECK(!mm__area_tree_find(&tree, 0, &m));
	CHECK(!mm__area_tree_at(&tree, 0, &m));
	CHECK(!mm__area_tree_take_retired(&tree));
	CHECK(mm__area_tree_highest_gap(&tree, 90, 10, 100, &addr));
	CHECK_EQ(addr, 10);
	CHECK(!mm__area_tree_highest_gap(&tree, 91, 10, 100, &addr));
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, find_gives_the_mapping_that_contains_or_else_the_next)
{
	struct mm__area_tree tree;
	struct mm__mapping m;

	mm__area_tree_init(&tree);
	for (uint64_t i = 0; i < 1000; i++)
		insert(&tree, (i * 37 % 1000) * 10, (i * 37 % 1000) * 10 + 5);
	check_tree(&tree);
	CHECK_EQ(tree.count, 1000);
	for (uint64_t addr = 0; addr < 9995; addr++) {
		uint64_t start = (addr + 5) / 10 * 10;

		CHECK(mm__area_tree_find(&tree, addr, &m));
		check_mapping(&m, start, start + 5, start + 1);
		CHECK_EQ(mm__area_tree_at(&tree, addr, &m), addr >= start);
		check_mapping(&m, start, start + 5, start + 1);
	}
	CHECK(!mm__area_tree_find(&tree, 9995, &m));
	CHECK(!mm__area_tree_find(&tree, UINT64_MAX, &m));
	CHECK(!mm__area_tree_at(&tree, 9995, &m));
	CHECK(!mm__area_tree_at(&tree, UINT64_MAX, &m));
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, a_mapping_ends_at_the_highest_address_at_most)
{
	struct mm__area_tree tree;
	struct mm__mapping m;

	mm__area_tree_init(&tree);
	insert(&tree, UINT64_MAX - 1, UINT64_MAX);
	CHECK(mm__area_tree_at(&tree, UINT64_MAX - 1, &m));
	check_mapping(&m, UINT64_MAX - 1, UINT64_MAX, UINT64_MAX);
	CHECK(!mm__area_tree_at(&tree, UINT64_MAX, &m));
	CHECK(!mm__area_tree_at(&tree, UINT64_MAX - 2, &m));
	check_tree(&tree);
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, set_puts_other_bounds_and_another_area_in_its_place)
{
	struct mm__area_tree tree;
	struct mm__mapping m;

	mm__area_tree_init(&tree);
	insert(&tree, 5, 8);
	set(&tree, 5, 4, 9);
	CHECK(mm__area_tree_at(&tree, 4, &m));
	check_mapping(&m, 4, 9, 6);
	CHECK(mm__area_tree_at(&tree, 8, &m));
	check_mapping(&m, 4, 9, 6);
	CHECK_EQ(tree.count, 1);
	check_tree(&tree);
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, each_mapping_can_grow_to_its_neighbours_in_turn)
{
	struct mm__area_tree tree;
	struct mm__mapping m;

	mm__area_tree_init(&tree);
	for (uint64_t i = 0; i < 3000; i++)
		insert(&tree, i * 10 + 4, i * 10 + 6);
	for (uint64_t i = 0; i < 3000; i++) {
		uint64_t low = i ? i * 10 - 4 : 0;

		/* Whatever key is between it and a neighbour has to give way. */
		set(&tree, i * 10 + 4, low, i * 10 + 14);
		check_tree(&tree);
		CHECK(mm__area_tree_at(&tree, low, &m));
		check_mapping(&m, low, i * 10 + 14, low + 2);
		CHECK(mm__area_tree_at(&tree, i * 10 + 13, &m));
		check_mapping(&m, low, i * 10 + 14, low + 2);
		set(&tree, low, i * 10 + 4, i * 10 + 6);
	}
	check_tree(&tree);
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, a_mapping_can_take_the_place_of_many)
{
	struct mm__area_tree tree;
	struct mm__mapping m;

	mm__area_tree_init(&tree);
	for (uint64_t i = 0; i < 3000; i++)
		insert(&tree, i * 10, i * 10 + 9);
	for (uint64_t i = 0; i < 3000; i += 300) {
		for (uint64_t j = i + 1; j < i + 300; j++)
			erase(&tree, j * 10);
		insert(&tree, i * 10 + 9, i * 10 + 2999);
		check_tree(&tree);
		CHECK(mm__area_tree_at(&tree, i * 10 + 2000, &m));
		check_mapping(&m, i * 10 + 9, i * 10 + 2999, i * 10 + 10);
	}
	CHECK_EQ(tree.count, 20);
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

TEST(mm_area_tree, the_lowest_gap_that_fits_is_found_within_bounds)
{
	struct mm__area_tree tree;
	uint64_t addr;

	mm__area_tree_init(&tree);
	CHECK(mm__area_tree_lowest_gap(&tree, 50, 0, 50, &addr));
	CHECK_EQ(addr, 0);
	insert(&tree, 10, 20);
	insert(&tree, 30, 40);
	insert(&tree, 42, 50);
	CHECK(mm__area_tree_lowest_gap(&tree, 2, 0, 50, &addr));
	CHECK_EQ(addr, 0);
	CHECK(mm__area_tree_lowest_gap(&tree, 2, 9, 50, &addr));
	CHECK_EQ(addr, 20);
	CHECK(mm__area_tree_lowest_gap(&tree, 2, 29, 50, &addr));
	CHECK_EQ(addr, 40);
	CHECK(!mm__area_tree_lowest_gap(&tree, 2, 29, 41, &addr));
	CHECK(!mm__area_tree_lowest_gap(&tree, 3, 28, 50, &addr));
	CHECK(mm__area_tree_lowest_gap(&tree, 3, 28, 53, &addr));
	CHECK_EQ(addr, 50);
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, what_is_reserved_is_enough_for_growth_from_nothing)
{
	struct mm__area_tree tree;

	mm__area_tree_init(&tree);
	reserve(&tree, 100);
	for (uint64_t i = 0; i < 100; i++) {
		struct mm__mapping m = { i, i + 1, area(i) };

		mm__area_tree_insert(&tree, &budget, &m);
	}
	check_tree(&tree);
	mm__rcu_free(end_changes(&tree));
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, what_is_preloaded_is_all_that_is_reserved)
{
	struct mm__area_tree tree;
	struct mm__area_needs needs = { .now = 3 };
	struct mm__area_spares spares;

	mm__area_tree_init(&tree);
	for (uint64_t i = 0; i < 1000; i++) {
		unsigned int leaves, inners;

		mm__area_tree_preload(&tree, &needs, &spares);
		mm__area_tree_stock(&tree, &spares);
		CHECK(!spares.first[0] && !spares.first[1]);
		leaves = tree.spares.count[0];
		inners = tree.spares.count[1];
		reserve(&tree, 3);
		CHECK_EQ(tree.spares.count[0], leaves);
		CHECK_EQ(tree.spares.count[1], inners);
		for (uint64_t j = 0; j < 3; j++)
			mm__area_tree_insert(
				&tree, &budget,
				&(struct mm__mapping){ i * 3 + j, i * 3 + j + 1, NULL });
		mm__rcu_free(end_changes(&tree));
	}
	check_tree(&tree);
	mm__area_tree_destroy(&tree);
}

TEST(mm_area_tree, most_changes_replace_a_leaf_and_nothing_else)
{
	struct mm__area_tree tree;
	unsigned int more = 0;

	mm__area_tree_init(&tree);
	for (uint64_t i = 0; i < 10000; i++)
		insert(&tree, i * 10, i * 10 + 5);
	for (uint64_t i = 0; i < 10000; i++) {
		struct mm__mapping m = { i * 10, i * 10 + 6, NULL };
		struct mm__garbage *retired;

		reserve(&tree, 1);
		mm__area_tree_set(&tree, &budget, i * 10, &m);
		retired = end_changes(&tree);
		CHECK(retired);
		more += retired->next ? 1 : 0;
		mm__rcu_free(retired);
	}
	CHECK_EQ(more, 0);
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
			erase(&tree, i * step % 1009);
			if (i % 16 == 0)
				check_tree(&tree);
		}
		CHECK_EQ(tree.count, 0);
		check_tree(&tree);
		mm__area_tree_destroy(&tree);
	}
}

TEST(mm_area_tree, a_range_is_erased_at_the_cost_of_one_mapping)
{
	struct mm__area_needs needs = { .now = 1 };
	struct mm__area_tree tree;
	const uint64_t n = test_scale(100000);

	mm__area_tree_init(&tree);
	for (uint64_t i = 0; i < n; i++)
		insert(&tree, i * 2, i * 2 + 1);
	mm__rcu_barrier();
	CHECK_EQ(mm__area_tree_reserve(&tree, &budget, &needs), 0);
	mm__area_tree_erase_range(&tree, &budget, 6, n * 2 - 6, n - 6);
	/* More than a leaf. */
	CHECK(tree.retired->next);
	mm__rcu_free(end_changes(&tree));
	CHECK_EQ(tree.count, 6);
	check_tree(&tree);
	CHECK_EQ(tree.levels, 1);
	mm__rcu_barrier();
	mm__area_tree_destroy(&tree);
}

/* Erases all but the first k, or all but the last k, of n mappings at 0, 2, .. */
static void check_rest(uint64_t n, uint64_t k, bool first)
{
	struct mm__area_needs needs = { .now = 1 };
	struct mm__area_tree tree;
	struct mm__mapping m;

	mm__area_tree_init(&tree);
	for (uint64_t i = 0; i < n; i++)
		insert(&tree, i * 2, i * 2 + 1);
	CHECK_EQ(mm__area_tree_reserve(&tree, &budget, &needs), 0);
	if (first)
		mm__area_tree_erase_range(&tree, &budget, k * 2, n * 2, n - k);
	else
		mm__area_tree_erase_range(&tree, &budget, 0, (n - k) * 2, n - k);
	mm__rcu_free(end_changes(&tree));
	check_tree(&tree);
	CHECK_EQ(tree.count, k);
	for (uint64_t i = first ? 0 : n - k; i < (first ? k : n); i++) {
		CHECK(mm__area_tree_at(&tree, i * 2, &m));
		check_mapping(&m, i * 2, i * 2 + 1, i * 2 + 1);
	}
	mm__area_tree_destroy(&tree);
}

/* Among these are whole leaves, and one leaf alone that no end of the range is in. */
TEST(mm_area_tree, any_number_of_mappings_stays_at_either_end)
{
	const uint64_t n = 120;

	for (uint64_t k = 0; k < n; k++) {
		check_rest(n, k, true);
		check_rest(n, k, false);
	}
	mm__rcu_barrier();
}

TEST(mm_area_tree, what_is_reserved_stays_for_the_writer_that_reserved_it)
{
	struct mm__area_needs needs = { .now = 1, .later = 2, .most = 100000 };
	struct mm__area_budget first;
	struct mm__area_tree tree;

	mm__area_tree_init(&tree);
	insert(&tree, 1, 2);
	CHECK_EQ(mm__area_tree_reserve(&tree, &first, &needs), 0);
	/* The tree gets more levels meanwhile, and others use up what they reserve. */
	for (uint64_t i = 1; i < 20000; i++) {
		insert(&tree, i * 3, i * 3 + 1);
		CHECK(tree.spares.count[0] >= first.nodes[0]);
		CHECK(tree.spares.count[1] >= first.nodes[1]);
	}
	CHECK(tree.levels > 2);
	mm__area_tree_erase_range(&tree, &first, 3000, 50000, 15667);
	mm__area_tree_erase(&tree, &first, 1);
	mm__area_tree_release(&tree, &first);
	check_tree(&tree);
	mm__rcu_free(mm__area_tree_take_retired(&tree));
	mm__rcu_barrier();
	mm__area_tree_destroy(&tree);
}

/* In an order in which leaves are divided everywhere. */
TEST(mm_area_tree, holds_a_million)
{
	const uint64_t n = test_scale(1000000);
	struct mm__area_tree tree;
	struct mm__mapping m;

	mm__area_tree_init(&tree);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = i * 7919 % n * 2;

		insert(&tree, at, at + 1);
		if (i % 65536 == 0)
			mm__rcu_barrier();
	}
	CHECK_EQ(tree.count, n);
	check_tree(&tree);
	for (uint64_t i = 0; i < 2 * n; i++) {
		CHECK_EQ(mm__area_tree_at(&tree, i, &m), i % 2 == 0);
		if (i % 2 == 0)
			check_mapping(&m, i, i + 1, i + 1);
	}
	for (uint64_t i = 0; i < n; i++) {
		erase(&tree, i * 104729 % n * 2);
		if (i % 65536 == 0) {
			check_tree(&tree);
			mm__rcu_barrier();
		}
	}
	CHECK_EQ(tree.count, 0);
	check_tree(&tree);
	mm__area_tree_destroy(&tree);
}
