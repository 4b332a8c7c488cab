/* SPDX-License-Identifier: MIT */
#include "mm/attach.h"
#include "mm/vma.h"
#include "test.h"

#include <stdlib.h>

/* The tree does not look into VMAs: any address will do. */
static struct mm__vma *vma(uint64_t number)
{
	return (struct mm__vma *)(uintptr_t)number;
}

static struct mm__vma_budget budget;
static struct mm__vma_edit edit;
static uint64_t count; /* of mappings */

static void init(struct mm__vma_tree *tree)
{
	CHECK(mm__os_thread_attach());
	mm__vma_tree_init(tree);
	count = 0;
}

/* With the VMA tree lock. */
static void begin_changes(struct mm__vma_tree *tree, unsigned int changes, uint64_t start,
			  uint64_t end)
{
	struct mm__vma_needs needs = { .now = changes };

	CHECK_EQ(mm__vma_tree_reserve(tree, &budget, &needs), 0);
	edit = (struct mm__vma_edit){ .tree = tree };
	mm__vma_edit_locked(&edit, tree, &budget, start, end);
}

static struct mm__garbage *end_changes(struct mm__vma_tree *tree)
{
	mm__vma_edit_end(&edit);
	mm__vma_tree_release(tree, &budget);
	return mm__vma_tree_take_retired(tree);
}

static void insert(struct mm__vma_tree *tree, uint64_t start, uint64_t end)
{
	struct mm__mapping m = { start, end, vma(start + 1) };

	begin_changes(tree, 1, start, end);
	mm__vma_tree_insert(&edit, &m);
	count++;
	mm__rcu_free(end_changes(tree));
}

static void erase_range(struct mm__vma_tree *tree, uint64_t start, uint64_t end, uint64_t n)
{
	begin_changes(tree, 1, start, end);
	mm__vma_tree_erase_range(&edit, start, end, n);
	count -= n;
	mm__rcu_free(end_changes(tree));
}

static void erase(struct mm__vma_tree *tree, uint64_t start)
{
	erase_range(tree, start, start + 1, 1);
}

static void set(struct mm__vma_tree *tree, uint64_t old, uint64_t start, uint64_t end)
{
	struct mm__mapping m = { start, end, vma(start + 2) };

	begin_changes(tree, 1, start, end);
	mm__vma_tree_set(&edit, old, &m);
	mm__rcu_free(end_changes(tree));
}

/* In place. Returns false if the edit needs the VMA tree lock; then it has changed nothing. */
static bool begin_in_place(struct mm__vma_tree *tree, uint64_t start, uint64_t end, bool unmaps)
{
	mm__rcu_read_lock();
	if (mm__vma_edit_in_place(&edit, tree, start, end, 1, unmaps))
		return true;
	mm__rcu_read_unlock();
	return false;
}

static void end_in_place(void)
{
	mm__vma_edit_end(&edit);
	mm__rcu_read_unlock();
}

static void check_mapping(const struct mm__mapping *m, uint64_t start, uint64_t end,
			  uint64_t number)
{
	CHECK_EQ(m->start, start);
	CHECK_EQ(m->end, end);
	CHECK(m->vma == vma(number));
}

static void check_tree(const struct mm__vma_tree *tree)
{
	const char *what;

	if (!mm__vma_tree_valid(tree, count, &what))
		test_fail(__FILE__, __LINE__, "%s", what);
}

#define NO_GAP UINT64_MAX

static uint64_t highest_gap(struct mm__vma_tree *tree, uint64_t length, uint64_t low, uint64_t high)
{
	uint64_t addr;

	return mm__vma_tree_highest_gap(tree, length, low, high, &addr) ? addr : NO_GAP;
}

static uint64_t lowest_gap(struct mm__vma_tree *tree, uint64_t length, uint64_t low, uint64_t high)
{
	uint64_t addr;

	return mm__vma_tree_lowest_gap(tree, length, low, high, &addr) ? addr : NO_GAP;
}

TEST(mm_vma_tree, an_empty_tree_is_one_gap)
{
	struct mm__vma_tree tree;
	struct mm__mapping m;

	init(&tree);
	check_tree(&tree);
	CHECK(!mm__vma_tree_find(&tree, 0, &m));
	CHECK(!mm__vma_tree_at(&tree, 0, &m));
	CHECK(!mm__vma_tree_take_retired(&tree));
	CHECK(!begin_in_place(&tree, 10, 20, false));
	CHECK_EQ(highest_gap(&tree, 90, 10, 100), 10);
	CHECK_EQ(highest_gap(&tree, 91, 10, 100), NO_GAP);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, find_gives_the_mapping_that_contains_or_else_the_next)
{
	struct mm__vma_tree tree;
	struct mm__mapping m;

	init(&tree);
	for (uint64_t i = 0; i < 1000; i++)
		insert(&tree, (i * 37 % 1000) * 10, (i * 37 % 1000) * 10 + 5);
	check_tree(&tree);
	CHECK_EQ(count, 1000);
	check_tree(&tree);
	for (uint64_t addr = 0; addr < 9995; addr++) {
		uint64_t start = (addr + 5) / 10 * 10;

		CHECK(mm__vma_tree_find(&tree, addr, &m));
		check_mapping(&m, start, start + 5, start + 1);
		CHECK_EQ(mm__vma_tree_at(&tree, addr, &m), addr >= start);
		check_mapping(&m, start, start + 5, start + 1);
	}
	CHECK(!mm__vma_tree_find(&tree, 9995, &m));
	CHECK(!mm__vma_tree_find(&tree, UINT64_MAX, &m));
	CHECK(!mm__vma_tree_at(&tree, 9995, &m));
	CHECK(!mm__vma_tree_at(&tree, UINT64_MAX, &m));
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, a_mapping_ends_at_the_highest_address_at_most)
{
	struct mm__vma_tree tree;
	struct mm__mapping m;

	init(&tree);
	insert(&tree, UINT64_MAX - 1, UINT64_MAX);
	CHECK(mm__vma_tree_at(&tree, UINT64_MAX - 1, &m));
	check_mapping(&m, UINT64_MAX - 1, UINT64_MAX, UINT64_MAX);
	CHECK(!mm__vma_tree_at(&tree, UINT64_MAX, &m));
	CHECK(!mm__vma_tree_at(&tree, UINT64_MAX - 2, &m));
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, set_puts_other_bounds_and_another_vma_in_its_place)
{
	struct mm__vma_tree tree;
	struct mm__mapping m;

	init(&tree);
	insert(&tree, 5, 8);
	set(&tree, 5, 4, 9);
	CHECK(mm__vma_tree_at(&tree, 4, &m));
	check_mapping(&m, 4, 9, 6);
	CHECK(mm__vma_tree_at(&tree, 8, &m));
	check_mapping(&m, 4, 9, 6);
	CHECK_EQ(count, 1);
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, each_mapping_can_grow_to_its_neighbours_in_turn)
{
	struct mm__vma_tree tree;
	struct mm__mapping m;

	init(&tree);
	for (uint64_t i = 0; i < 3000; i++)
		insert(&tree, i * 10 + 4, i * 10 + 6);
	for (uint64_t i = 0; i < 3000; i++) {
		uint64_t low = i ? i * 10 - 4 : 0;

		/* Any key between the mapping and a neighbour has to move. */
		set(&tree, i * 10 + 4, low, i * 10 + 14);
		check_tree(&tree);
		CHECK(mm__vma_tree_at(&tree, low, &m));
		check_mapping(&m, low, i * 10 + 14, low + 2);
		CHECK(mm__vma_tree_at(&tree, i * 10 + 13, &m));
		check_mapping(&m, low, i * 10 + 14, low + 2);
		set(&tree, low, i * 10 + 4, i * 10 + 6);
	}
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, a_mapping_can_take_the_place_of_many)
{
	struct mm__vma_tree tree;
	struct mm__mapping m;

	init(&tree);
	for (uint64_t i = 0; i < 3000; i++)
		insert(&tree, i * 10, i * 10 + 9);
	for (uint64_t i = 0; i < 3000; i += 300) {
		for (uint64_t j = i + 1; j < i + 300; j++)
			erase(&tree, j * 10);
		insert(&tree, i * 10 + 9, i * 10 + 2999);
		check_tree(&tree);
		CHECK(mm__vma_tree_at(&tree, i * 10 + 2000, &m));
		check_mapping(&m, i * 10 + 9, i * 10 + 2999, i * 10 + 10);
	}
	CHECK_EQ(count, 20);
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, the_highest_gap_that_fits_is_found_within_bounds)
{
	struct mm__vma_tree tree;

	init(&tree);
	insert(&tree, 10, 20);
	insert(&tree, 30, 40);
	insert(&tree, 42, 50);
	CHECK_EQ(highest_gap(&tree, 2, 0, 50), 40);
	CHECK_EQ(highest_gap(&tree, 3, 0, 50), 27);
	CHECK_EQ(highest_gap(&tree, 10, 0, 50), 20);
	CHECK_EQ(highest_gap(&tree, 10, 0, 29), 0);
	CHECK_EQ(highest_gap(&tree, 11, 0, 50), NO_GAP);
	CHECK_EQ(highest_gap(&tree, 1, 0, 51), 50);
	CHECK_EQ(highest_gap(&tree, 5, 25, 41), 25);
	CHECK_EQ(highest_gap(&tree, 5, 26, 41), NO_GAP);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, the_lowest_gap_that_fits_is_found_within_bounds)
{
	struct mm__vma_tree tree;

	init(&tree);
	CHECK_EQ(lowest_gap(&tree, 50, 0, 50), 0);
	insert(&tree, 10, 20);
	insert(&tree, 30, 40);
	insert(&tree, 42, 50);
	CHECK_EQ(lowest_gap(&tree, 2, 0, 50), 0);
	CHECK_EQ(lowest_gap(&tree, 2, 9, 50), 20);
	CHECK_EQ(lowest_gap(&tree, 2, 29, 50), 40);
	CHECK_EQ(lowest_gap(&tree, 2, 29, 41), NO_GAP);
	CHECK_EQ(lowest_gap(&tree, 3, 28, 50), NO_GAP);
	CHECK_EQ(lowest_gap(&tree, 3, 28, 53), 50);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, the_reserve_is_enough_for_growth_from_nothing)
{
	struct mm__vma_tree tree;

	init(&tree);
	begin_changes(&tree, 100, 0, 100);
	for (uint64_t i = 0; i < 100; i++) {
		struct mm__mapping m = { i, i + 1, vma(i) };

		mm__vma_tree_insert(&edit, &m);
		count++;
	}
	mm__rcu_free(end_changes(&tree));
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, preloading_stocks_the_whole_reserve)
{
	struct mm__vma_tree tree;
	struct mm__vma_needs needs = { .now = 3 };
	struct mm__vma_spares spares;

	init(&tree);
	for (uint64_t i = 0; i < 1000; i++) {
		unsigned int borders, interiors;

		mm__vma_tree_preload(&tree, &needs, &spares);
		mm__vma_tree_stock(&tree, &spares);
		CHECK(!spares.first[0] && !spares.first[1]);
		borders = tree.spares.count[0];
		interiors = tree.spares.count[1];
		begin_changes(&tree, 3, i * 3, i * 3 + 3);
		CHECK_EQ(tree.spares.count[0], borders);
		CHECK_EQ(tree.spares.count[1], interiors);
		for (uint64_t j = 0; j < 3; j++)
			mm__vma_tree_insert(
				&edit, &(struct mm__mapping){ i * 3 + j, i * 3 + j + 1, NULL });
		count += 3;
		mm__rcu_free(end_changes(&tree));
	}
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, most_changes_with_the_lock_replace_no_node)
{
	struct mm__vma_tree tree;
	unsigned int replacing = 0;

	init(&tree);
	for (uint64_t i = 0; i < 10000; i++)
		insert(&tree, i * 10, i * 10 + 5);
	for (uint64_t i = 0; i < 10000; i++) {
		struct mm__mapping m = { i * 10, i * 10 + 6, NULL };
		struct mm__garbage *retired;

		begin_changes(&tree, 1, m.start, m.end);
		mm__vma_tree_set(&edit, i * 10, &m);
		CHECK(!end_changes(&tree));
		begin_changes(&tree, 1, m.start, m.end);
		mm__vma_tree_erase(&edit, m.start);
		retired = end_changes(&tree);
		replacing += retired ? 1 : 0;
		mm__rcu_free(retired);
		insert(&tree, m.start, m.end);
		count--;
	}
	CHECK(replacing < 10000 / 4);
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, is_empty_again_when_all_is_erased_in_any_order)
{
	for (uint64_t step = 1; step < 1009; step = step * 3 + 1) {
		struct mm__vma_tree tree;

		init(&tree);
		for (uint64_t i = 0; i < 1009; i++)
			insert(&tree, i, i + 1);
		for (uint64_t i = 0; i < 1009; i++) {
			erase(&tree, i * step % 1009);
			if (i % 16 == 0)
				check_tree(&tree);
		}
		CHECK_EQ(count, 0);
		check_tree(&tree);
		check_tree(&tree);
		mm__vma_tree_destroy(&tree);
	}
}

TEST(mm_vma_tree, a_range_is_erased_at_the_cost_of_one_mapping)
{
	struct mm__vma_tree tree;
	const uint64_t n = test_scale(100000);

	init(&tree);
	for (uint64_t i = 0; i < n; i++)
		insert(&tree, i * 2, i * 2 + 1);
	mm__rcu_barrier();
	begin_changes(&tree, 1, 6, n * 2 - 6);
	mm__vma_tree_erase_range(&edit, 6, n * 2 - 6, n - 6);
	count = 6;
	/* More than one border node. */
	CHECK(tree.retired->next);
	mm__rcu_free(end_changes(&tree));
	CHECK_EQ(count, 6);
	check_tree(&tree);
	CHECK_EQ(tree.levels, 1);
	mm__rcu_barrier();
	mm__vma_tree_destroy(&tree);
}

/* Erases all but the first k, or all but the last k, of n mappings at 0, 2, .. */
static void check_rest(uint64_t n, uint64_t k, bool first)
{
	struct mm__vma_tree tree;
	struct mm__mapping m;

	init(&tree);
	for (uint64_t i = 0; i < n; i++)
		insert(&tree, i * 2, i * 2 + 1);
	if (first)
		erase_range(&tree, k * 2, n * 2, n - k);
	else
		erase_range(&tree, 0, (n - k) * 2, n - k);
	check_tree(&tree);
	CHECK_EQ(count, k);
	check_tree(&tree);
	for (uint64_t i = first ? 0 : n - k; i < (first ? k : n); i++) {
		CHECK(mm__vma_tree_at(&tree, i * 2, &m));
		check_mapping(&m, i * 2, i * 2 + 1, i * 2 + 1);
	}
	mm__vma_tree_destroy(&tree);
}

/* The cases include whole border nodes, and a single border node that no end of the range is in. */
TEST(mm_vma_tree, any_number_of_mappings_stays_at_either_end)
{
	const uint64_t n = 120;

	for (uint64_t k = 0; k < n; k++) {
		check_rest(n, k, true);
		check_rest(n, k, false);
	}
	mm__rcu_barrier();
}

TEST(mm_vma_tree, a_reserve_stays_for_the_writer_that_made_it)
{
	struct mm__vma_needs needs = { .now = 1, .later = 2, .most = 100000 };
	struct mm__vma_budget first;
	struct mm__vma_tree tree;

	init(&tree);
	insert(&tree, 1, 2);
	CHECK_EQ(mm__vma_tree_reserve(&tree, &first, &needs), 0);
	/* The tree gets more levels meanwhile, and other edits use up their reserves. */
	for (uint64_t i = 1; i < 20000; i++) {
		insert(&tree, i * 3, i * 3 + 1);
		CHECK(tree.spares.count[0] >= first.nodes[0]);
		CHECK(tree.spares.count[1] >= first.nodes[1]);
	}
	CHECK(tree.levels > 2);
	edit = (struct mm__vma_edit){ .tree = &tree };
	mm__vma_edit_locked(&edit, &tree, &first, 3000, 50000);
	mm__vma_tree_erase_range(&edit, 3000, 50000, 15667);
	mm__vma_tree_erase(&edit, 1);
	count -= 15668;
	mm__vma_edit_end(&edit);
	mm__vma_tree_release(&tree, &first);
	check_tree(&tree);
	mm__rcu_free(mm__vma_tree_take_retired(&tree));
	mm__rcu_barrier();
	mm__vma_tree_destroy(&tree);
}

/* In an order that divides border nodes everywhere. */
TEST(mm_vma_tree, holds_a_million)
{
	const uint64_t n = test_scale(1000000);
	struct mm__vma_tree tree;
	struct mm__mapping m;

	init(&tree);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = i * 7919 % n * 2;

		insert(&tree, at, at + 1);
		if (i % 65536 == 0)
			mm__rcu_barrier();
	}
	CHECK_EQ(count, n);
	check_tree(&tree);
	for (uint64_t i = 0; i < 2 * n; i++) {
		CHECK_EQ(mm__vma_tree_at(&tree, i, &m), i % 2 == 0);
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
	CHECK_EQ(count, 0);
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}

/*
 * In place
 */

static void insert_in_place(struct mm__vma_tree *tree, uint64_t start, uint64_t end)
{
	struct mm__mapping m = { start, end, vma(start + 1) };

	CHECK(begin_in_place(tree, start, end, false));
	mm__vma_tree_insert(&edit, &m);
	count++;
	end_in_place();
}

static void erase_in_place(struct mm__vma_tree *tree, uint64_t start, uint64_t end, uint64_t n)
{
	CHECK(begin_in_place(tree, start, end, true));
	mm__vma_tree_erase_range(&edit, start, end, n);
	count -= n;
	end_in_place();
}

static void tidy(struct mm__vma_tree *tree, uint64_t addr, bool divides, uint64_t now)
{
	begin_changes(tree, MM__TIDY_CHANGES, addr, addr + 1);
	mm__vma_tree_tidy(&edit, addr, divides, now);
	mm__rcu_free(end_changes(tree));
}

TEST(mm_vma_tree, an_edit_in_place_takes_no_node)
{
	struct mm__vma_tree tree;
	struct mm__mapping m;

	init(&tree);
	insert(&tree, 100, 110);
	insert_in_place(&tree, 200, 210);
	insert_in_place(&tree, 50, 60);
	CHECK(begin_in_place(&tree, 60, 100, false));
	m = (struct mm__mapping){ 50, 100, vma(7) };
	mm__vma_tree_set(&edit, 50, &m);
	CHECK(mm__vma_edit_at(&edit, 99, &m));
	check_mapping(&m, 50, 100, 7);
	CHECK(mm__vma_edit_find(&edit, 110, &m));
	check_mapping(&m, 200, 210, 201);
	end_in_place();
	CHECK(mm__vma_tree_at(&tree, 80, &m));
	check_mapping(&m, 50, 100, 7);
	erase_in_place(&tree, 40, 120, 2);
	CHECK(!mm__vma_tree_at(&tree, 80, &m));
	CHECK(mm__vma_tree_find(&tree, 0, &m));
	check_mapping(&m, 200, 210, 201);
	CHECK(!tree.retired);
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, an_edit_is_not_in_place_where_a_border_node_ends_or_has_no_room)
{
	struct mm__vma_tree tree;

	init(&tree);
	for (uint64_t i = 0; i < 13; i++)
		insert(&tree, i * 10, i * 10 + 5);
	CHECK(begin_in_place(&tree, 5, 10, false));
	end_in_place();
	insert_in_place(&tree, 130, 135);
	/* One more mapping, where the edit might need two. */
	CHECK(!begin_in_place(&tree, 5, 10, false));
	insert(&tree, 140, 145);
	CHECK_EQ(tree.levels, 2);
	/* One mapping begins at the key between the border nodes. */
	count = 15;
	for (uint64_t i = 0; i < 14; i++) {
		bool has = begin_in_place(&tree, i * 10 + 5, i * 10 + 10, false);

		count -= !has;
		if (has)
			end_in_place();
	}
	CHECK_EQ(count, 14);
	count = 15;
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, an_edit_that_needs_wider_bounds_gets_them_and_a_search_narrows_them)
{
	struct mm__vma_tree tree;

	init(&tree);
	for (uint64_t i = 0; i < 100; i++)
		insert(&tree, i * 10, i * 10 + 9);
	CHECK_EQ(highest_gap(&tree, 2, 0, 999), NO_GAP);
	CHECK(!begin_in_place(&tree, 500, 509, true));
	CHECK(edit.widens);
	mm__vma_tree_widen(&tree, 500, 509);
	CHECK(begin_in_place(&tree, 500, 509, true));
	end_in_place();
	check_tree(&tree);
	/* Nothing was unmapped, so the tree does not search again. */
	CHECK_EQ(highest_gap(&tree, 2, 0, 999), NO_GAP);
	CHECK(!begin_in_place(&tree, 500, 509, true));
	mm__vma_tree_widen(&tree, 500, 509);
	erase_in_place(&tree, 500, 509, 1);
	check_tree(&tree);
	CHECK_EQ(highest_gap(&tree, 2, 0, 999), 508);
	insert_in_place(&tree, 500, 509);
	CHECK_EQ(lowest_gap(&tree, 2, 0, 999), NO_GAP);
	mm__vma_tree_destroy(&tree);
}

/* Each thread maps and unmaps in a place of its own. */
static void take_turns(struct mm__vma_tree *tree, unsigned int threads, unsigned int turns)
{
	for (unsigned int i = 0; i < turns; i++) {
		uint64_t start = UINT64_C(1000) * (i % threads) + 100;

		mm__rcu_read_lock();
		edit = (struct mm__vma_edit){ .tree = tree };
		CHECK(mm__vma_edit_in_place(&edit, tree, start, start + 10, i % threads + 1,
					    false));
		end_in_place();
		if (edit.tidy)
			tidy(tree, edit.tidy, edit.divides, i);
	}
}

TEST(mm_vma_tree, a_border_node_is_divided_between_threads_that_change_it_in_turn)
{
	struct mm__vma_tree tree;
	unsigned int levels;

	init(&tree);
	insert(&tree, 50000, 50001);
	take_turns(&tree, 1, 1000);
	CHECK_EQ(tree.levels, 1);
	take_turns(&tree, 40, 40000);
	levels = tree.levels;
	CHECK(levels > 1);
	check_tree(&tree);
	/* Now each thread has a border node of its own. */
	for (unsigned int i = 0; i < 40; i++) {
		CHECK(begin_in_place(&tree, 1000 * i + 100, 1000 * i + 110, false));
		end_in_place();
		CHECK(!edit.tidy);
		CHECK(begin_in_place(&tree, 1000 * i + 100, 1000 * i + 110, false));
		CHECK(edit.border != NULL);
		end_in_place();
	}
	/* When no thread has used its own border node for a while, they are joined again. */
	for (uint64_t i = 1; i < 200; i++)
		tidy(&tree, 1, false, i * 1000000000);
	check_tree(&tree);
	CHECK_EQ(tree.levels, 1);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, a_border_node_that_is_almost_empty_is_joined_with_another)
{
	struct mm__vma_tree tree;

	init(&tree);
	for (uint64_t i = 0; i < 1000; i++)
		insert(&tree, i * 10, i * 10 + 5);
	CHECK(tree.levels > 2);
	for (uint64_t i = 1; i < 999; i++) {
		uint64_t start = i * 10;

		if (!begin_in_place(&tree, start, start + 5, true)) {
			if (!edit.widens) {
				erase(&tree, start);
				continue;
			}
			mm__vma_tree_widen(&tree, start, start + 5);
			CHECK(begin_in_place(&tree, start, start + 5, true));
		}
		mm__vma_tree_erase(&edit, start);
		count--;
		end_in_place();
		if (edit.tidy)
			tidy(&tree, edit.tidy, edit.divides, i);
		check_tree(&tree);
	}
	CHECK_EQ(tree.levels, 1);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, room_is_found_in_one_border_node)
{
	struct mm__vma_tree tree;
	uint64_t addr = 500;

	init(&tree);
	CHECK(!mm__vma_tree_border_gap(&tree, 10, 100, 1000, 50, &addr));
	insert(&tree, 500, 600);
	insert(&tree, 620, 940);
	mm__rcu_read_lock();
	CHECK(mm__vma_tree_border_gap(&tree, 10, 100, 1000, 50, &addr));
	CHECK_EQ(addr, 940);
	CHECK(mm__vma_tree_border_gap(&tree, 20, 100, 1000, 50, &addr));
	CHECK_EQ(addr, 600);
	CHECK(mm__vma_tree_border_gap(&tree, 400, 100, 1000, 50, &addr));
	CHECK_EQ(addr, 100);
	addr = 700;
	CHECK(!mm__vma_tree_border_gap(&tree, 401, 100, 1000, 50, &addr));
	CHECK(!mm__vma_tree_border_gap(&tree, 10, 650, 900, 50, &addr));
	mm__rcu_read_unlock();
	mm__vma_tree_destroy(&tree);
}

static void unmap_in_place(struct mm__vma_tree *tree, uint64_t start, uint64_t end, unsigned int n)
{
	if (!begin_in_place(tree, start, end, true)) {
		CHECK(edit.widens);
		mm__vma_tree_widen(tree, start, end);
		CHECK(begin_in_place(tree, start, end, true));
	}
	mm__vma_tree_erase_range(&edit, start, end, n);
	count -= n;
	end_in_place();
	check_tree(tree);
}

/*
 * A thread finds bounds too narrow, and other threads change the node before it has the VMA tree
 * lock.
 */
TEST(mm_vma_tree, widening_bounds_that_have_become_wide_enough_narrows_none)
{
	static const uint64_t at[][2] = { { 900, 910 },   { 1000, 1010 }, { 1010, 1030 },
					  { 1030, 1100 }, { 1100, 1150 }, { 1150, 1200 },
					  { 1200, 1250 }, { 1250, 1300 }, { 1300, 1400 } };
	struct mm__vma_tree tree;
	struct mm__mapping m = { 1390, 1395, vma(1391) };

	init(&tree);
	for (unsigned int i = 0; i < 9; i++)
		insert(&tree, at[i][0], at[i][1]);
	for (uint64_t i = 0; i < 10; i++)
		insert(&tree, 10000 + 10 * i, 10010 + 10 * i);
	check_tree(&tree);
	CHECK(!begin_in_place(&tree, 1000, 1010, true));
	CHECK(edit.widens);
	unmap_in_place(&tree, 900, 910, 1);
	unmap_in_place(&tree, 1200, 1400, 3);
	CHECK(begin_in_place(&tree, 1390, 1395, false));
	mm__vma_tree_insert(&edit, &m);
	count++;
	end_in_place();
	unmap_in_place(&tree, 1030, 1200, 3);
	mm__vma_tree_widen(&tree, 1000, 1010);
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}

/*
 * A search lowers a bound of one node that a place is not long enough for, and finds a longer place
 * beside it. The lowered bound counts a stretch that the bounds above left out.
 */
TEST(mm_vma_tree, a_search_that_narrows_bounds_leaves_none_above_too_narrow)
{
	struct mm__vma_tree tree;

	init(&tree);
	for (uint64_t i = 0; i < 1003; i++)
		insert(&tree, i * 100, i * 100 + 90);
	for (uint64_t i = 1002; i >= 1000; i--)
		erase(&tree, i * 100);
	insert_in_place(&tree, 100200, 100290);
	unmap_in_place(&tree, 99300, 99390, 1);
	insert_in_place(&tree, 99300, 99390);
	erase(&tree, 95000);
	CHECK_EQ(highest_gap(&tree, 50, 0, 99990), 95050);
	check_tree(&tree);
	unmap_in_place(&tree, 99200, 99390, 2);
	CHECK_EQ(highest_gap(&tree, 200, 0, 99990), 99200);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, bounds_of_a_mapping_at_address_0_become_wider_when_it_goes)
{
	struct mm__vma_tree tree;

	init(&tree);
	for (uint64_t i = 0; i < 20; i++)
		insert(&tree, i * 10, i * 10 + 9);
	unmap_in_place(&tree, 40, 89, 5);
	unmap_in_place(&tree, 20, 39, 2);
	CHECK(!begin_in_place(&tree, 0, 9, true));
	unmap_in_place(&tree, 0, 9, 1);
	unmap_in_place(&tree, 10, 19, 1);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, an_erasure_that_joins_border_nodes_records_their_bounds_above)
{
	struct mm__vma_tree tree;

	init(&tree);
	for (uint64_t i = 0; i < 1003; i++)
		insert(&tree, 1000 + i * 100, 1000 + i * 100 + 90);
	unmap_in_place(&tree, 1000, 1890, 9);
	CHECK_EQ(highest_gap(&tree, 2000, 0, 100000), NO_GAP);
	insert_in_place(&tree, 1000, 1090);
	erase_range(&tree, 1900, 45590, 437);
	check_tree(&tree);
	CHECK_EQ(highest_gap(&tree, 40000, 0, 50000), 5600);
	mm__vma_tree_destroy(&tree);
}

/*
 * A border node becomes the root when an edit elsewhere removes all others, which does not lock it.
 */
TEST(mm_vma_tree, an_edit_with_the_lock_tells_a_border_node_which_keys_have_gone)
{
	struct mm__vma_tree tree;

	init(&tree);
	for (uint64_t i = 0; i < 10; i++)
		insert(&tree, i * 10, i * 10 + 5);
	tidy(&tree, 58, true, 1);
	tidy(&tree, 28, true, 2);
	CHECK_EQ(tree.levels, 2);
	erase_range(&tree, 30, 95, 7);
	CHECK_EQ(tree.levels, 1);
	CHECK(!begin_in_place(&tree, 60, 65, false));
	insert(&tree, 60, 65);
	erase(&tree, 10);
	check_tree(&tree);
	CHECK(begin_in_place(&tree, 80, 85, false));
	end_in_place();
	unmap_in_place(&tree, 0, 65, 3);
	mm__vma_tree_destroy(&tree);
}

TEST(mm_vma_tree, a_mapping_may_end_at_the_highest_address)
{
	struct mm__vma_tree tree;
	struct mm__mapping m;

	init(&tree);
	for (uint64_t i = 100; i; i--)
		insert(&tree, UINT64_MAX - 10 * i, UINT64_MAX - 10 * i + 10);
	check_tree(&tree);
	CHECK(mm__vma_tree_at(&tree, UINT64_MAX - 1, &m));
	check_mapping(&m, UINT64_MAX - 10, UINT64_MAX, UINT64_MAX - 9);
	erase_range(&tree, UINT64_MAX - 500, UINT64_MAX, 50);
	check_tree(&tree);
	mm__vma_tree_destroy(&tree);
}
