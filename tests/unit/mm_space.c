/* SPDX-License-Identifier: MIT */
#include "mm/attach.h"
#include "mm/edit.h"
#include "mm/frame_supply.h"
#include "mm/pages.h"
#include "mm/room.h"
#include "mm/vma.h"
#include "mm/vma_node.h"
#include "spaces.h"
#include "threads.h"

TEST(mm_space, defaults_are_as_documented)
{
	struct mm_attr attr;

	mm_attr_init(&attr);
	CHECK_EQ(attr.locking, MM_LOCKING_SPECULATIVE);
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
	attr.locking = (enum mm_locking)4;
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

static int stop_at_third(const struct mm_area *vma, void *arg)
{
	int *visits = arg;

	CHECK_EQ(vma->flags, PRIVATE);
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

static int unmap_visited(const struct mm_area *vma, void *arg)
{
	return mm_munmap(arg, vma->start, vma->end - vma->start);
}

TEST(mm_space, a_visitor_may_change_the_space)
{
	struct mm *mm = new_space();

	for (unsigned int i = 0; i < 5; i++)
		map(mm, 2 * i, 1, RW);
	CHECK_EQ(mm_for_each_area(mm, unmap_visited, mm), 0);
	CHECK_VMAS(mm, "");
	end_space(mm);
}

/* Ten pages, mapped by two calls. */
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

/* Not inlined: gcc would warn of the case that the table does not exist. */
__attribute__((noinline)) static struct mm__table *table_of(struct mm *mm, unsigned int page)
{
	return mm__table_find(&mm->page_table, AT(page));
}

static uint64_t entry_of(struct mm *mm, unsigned int page)
{
	return mm__entry_load(table_of(mm, page), AT(page));
}

static struct mm__mapping mapping_of(struct mm *mm, unsigned int page)
{
	struct mm__mapping m;

	CHECK(mm__vma_tree_at(&mm->vmas, AT(page), &m));
	return m;
}

static void change_tree(struct mm *mm, uint64_t start, const struct mm__mapping *m)
{
	struct mm__edit edit;

	CHECK(mm__edit_in_place(&edit, mm__this_thread(mm), start, start + MM_PAGE_SIZE, !m));
	if (m)
		mm__vma_tree_set(&edit.tree, start, m);
	else
		mm__vma_tree_erase(&edit.tree, start);
	mm__count_vmas(mm__this_thread(mm), m ? 0 : -1);
	mm__edit_end(&edit);
}

TEST(mm_validate, finds_vmas_that_are_not_merged)
{
	struct mm *mm = space_to_break();

	mapping_of(mm, 5).vma->prot = RW;
	check_broken(mm, "not merged");
}

TEST(mm_validate, finds_a_reservation_that_was_not_given_back)
{
	struct mm *mm = space_to_break();
	struct mm__vma_needs needs = { .now = 1 };
	struct mm__vma_budget budget;

	CHECK_EQ(mm__vma_tree_reserve(&mm->vmas, &budget, &needs), 0);
	check_broken(mm, "kept what it reserved");
}

TEST(mm_validate, finds_a_vma_that_is_not_aligned)
{
	struct mm *mm = space_to_break();
	struct mm__mapping m = mapping_of(mm, 5);

	m.end--;
	change_tree(mm, AT(5), &m);
	check_broken(mm, "not aligned");
}

TEST(mm_validate, finds_a_vma_that_was_never_settled)
{
	struct mm *mm = space_to_break();

	mm__vma_change_begin(mapping_of(mm, 5).vma);
	check_broken(mm, "being changed");
}

TEST(mm_validate, finds_a_page_outside_of_all_vmas)
{
	struct mm *mm = space_to_break();
	struct mm__vma *vma = mapping_of(mm, 5).vma;

	change_tree(mm, AT(5), NULL);
	check_broken(mm, "in no VMA");
	free(vma);
}

TEST(mm_validate, finds_an_entry_that_allows_too_much)
{
	struct mm *mm = space_to_break();

	mm__entry_store(table_of(mm, 7), AT(7), entry_of(mm, 7) | W);
	check_broken(mm, "allows");
}

TEST(mm_validate, finds_an_entry_that_is_not_present)
{
	struct mm *mm = space_to_break();

	mm__entry_store(table_of(mm, 7), AT(7), entry_of(mm, 7) & ~MM__PRESENT);
	check_broken(mm, "not present");
}

static void miscount(struct mm *mm, int64_t more)
{
	mm__room_claim(mm__this_thread(mm));
	mm__count_vmas(mm__this_thread(mm), more);
	mm__room_give_back(mm__this_thread(mm));
}

/* One node, and a tree of several. */
TEST(mm_validate, finds_a_wrong_number_of_vmas)
{
	for (unsigned int n = 1; n <= 1000; n *= 1000) {
		struct mm *mm = new_space();

		for (unsigned int i = 0; i < n; i++)
			map(mm, 2 * i, 1, RW);
		miscount(mm, 1);
		CHECK(mm_validate(mm, NULL, 0) != 0);
		miscount(mm, -1);
		end_space(mm);
	}
}

TEST(mm_validate, finds_a_border_node_that_no_edit_has_ended)
{
	struct mm *mm = new_space();
	struct border *border;

	map(mm, 0, 1, RW);
	border = mm__border(mm__root(&mm->vmas));
	atomic_fetch_add(&border->seq, 1);
	check_broken(mm, "a border node is being changed");
}

TEST(mm_validate, finds_a_border_node_that_goes_over_its_bounds)
{
	struct mm *mm = new_space();
	struct border *border;

	map(mm, 2, 1, RW);
	border = mm__border(mm__root(&mm->vmas));
	border->recorded = (struct sum){ AT(1), AT(3), 0 };
	check_broken(mm, "over the bounds");
}

TEST(mm_validate, finds_a_page_that_is_mapped_twice)
{
	struct mm *mm = space_to_break();
	struct mm__frame *other = mm__entry_frame(entry_of(mm, 8));
	struct mm__thread_set all = { .all = true };

	mm__entry_store(table_of(mm, 8), AT(8), entry_of(mm, 7));
	mm__tlb_flush(mm, mm__this_thread(mm), &all, AT(8), AT(9));
	mm__frame_put(other);
	CHECK(mm_validate(mm, NULL, 0) != 0);
	mm__frame_get(mm__entry_frame(entry_of(mm, 7)));
	end_space(mm);
}

TEST(mm_validate, finds_a_page_that_can_be_written_to_by_two)
{
	struct mm *mm = space_to_break();

	mm__frame_get(mm__entry_frame(entry_of(mm, 1)));
	CHECK(mm_validate(mm, NULL, 0) != 0);
	mm__frame_put(mm__entry_frame(entry_of(mm, 1)));
	end_space(mm);
}

TEST(mm_validate, finds_a_page_with_a_lost_reference)
{
	struct mm *mm = space_to_break();

	mm__frame_get(mm__entry_frame(entry_of(mm, 7)));
	CHECK(mm_validate(mm, NULL, 0) != 0);
	mm__frame_put(mm__entry_frame(entry_of(mm, 7)));
	end_space(mm);
}

TEST(mm_validate, finds_an_entry_that_is_locked)
{
	struct mm *mm = space_to_break();
	uint64_t entry = entry_of(mm, 7);
	char message[100];

	mm__entry_store(table_of(mm, 7), AT(7), entry | MM__BUSY);
	CHECK(mm_validate(mm, message, sizeof(message)) != 0);
	CHECK(strstr(message, "locked") != NULL);
	mm__entry_store(table_of(mm, 7), AT(7), entry);
	end_space(mm);
}

TEST(mm_validate, finds_a_wrong_count_in_a_table)
{
	struct mm *mm = space_to_break();
	struct mm__table *table = table_of(mm, 0);

	mm->page_table.top.nr_used++;
	CHECK(mm_validate(mm, NULL, 0) != 0);
	mm->page_table.top.nr_used--;
	table->pins++;
	CHECK(mm_validate(mm, NULL, 0) != 0);
	table->pins--;
	atomic_store(&table->waiters, 1);
	CHECK(mm_validate(mm, NULL, 0) != 0);
	atomic_store(&table->waiters, 0);
	atomic_store(&table->dead, true);
	CHECK(mm_validate(mm, NULL, 0) != 0);
	atomic_store(&table->dead, false);
	end_space(mm);
}

TEST(mm_validate, finds_a_wrong_number_of_tables)
{
	struct mm *mm = space_to_break();

	mm__count(mm__this_thread(mm), MM__TABLE_MADE);
	check_broken(mm, "4 page tables, and 5");
}

TEST(mm_validate, finds_a_wrong_number_of_pages)
{
	struct mm *mm = space_to_break();

	mm__count(mm__this_thread(mm), MM__PAGE_IN);
	check_broken(mm, "11 pages are counted, and 10 are present");
}

TEST(mm_space, a_fault_beside_pages_that_move_may_make_their_table)
{
	struct mm *mm = new_space();
	struct mm__thread *thread = mm__this_thread(mm);
	uint64_t from = BASE + PAGES(1), to = BASE + PAGES(4 * 512);
	struct mm__pins pins = { NULL, 0, 0 };

	/*
	 * At first there is no page to move. Then another page of the source's table makes the
	 * table, and a fault without a lock installs the page that is to move.
	 */
	map(mm, 0, 2, RW);
	CHECK_EQ(mm__pages_prepare_move(mm, thread, &pins, from, to, PAGES(1)), 0);
	CHECK_EQ(mm_fault(mm, BASE, MM_PROT_WRITE, NULL), 0);
	CHECK_EQ(mm_fault(mm, from, MM_PROT_WRITE, NULL), 0);
	mm__pages_move(mm, thread, from, to, PAGES(1));
	CHECK(mm__entry_load(mm__table_find(&mm->page_table, to), to) != 0);
	mm__pages_move(mm, thread, to, from, PAGES(1));
	mm__pages_unpin(mm, thread, &pins);
	check_space(mm);
	end_space(mm);
}

TEST(mm_space, empty_tables_are_freed_but_for_the_last_few)
{
	struct mm *mm = new_space();
	uint64_t before;

	for (unsigned int i = 0; i < 100; i++) {
		map(mm, 512 * i, 1, RW);
		CHECK_EQ(poke(mm, AT(512 * i), 1), 0);
	}
	before = stats_of(mm).tables;
	CHECK(before > 100);
	for (unsigned int i = 0; i < 100; i++)
		CHECK_EQ(mm_munmap(mm, AT(512 * i), PAGES(1)), 0);
	CHECK(stats_of(mm).tables <= before - 100 + MM__KEPT_TABLES);
	check_space(mm);
	end_space(mm);
}

/* After an munmap() that ends where a table ends, and after a move that was prepared only. */
static void *leave_empty_tables(void *arg)
{
	struct mm *mm = arg;
	struct mm__thread *thread = mm__this_thread(mm);
	struct mm__pins pins = { NULL, 0, 0 };

	for (unsigned int i = 0; i < 3; i++) {
		map(mm, 512 * i + 511, 1, RW);
		CHECK_EQ(poke(mm, AT(512 * i + 511), 1), 0);
		CHECK_EQ(mm_munmap(mm, AT(512 * i + 511), PAGES(1)), 0);
	}
	CHECK_EQ(mm__pages_prepare_move(mm, thread, &pins, AT(512 * 20), AT(512 * 30), PAGES(1)),
		 0);
	mm__pages_unpin(mm, thread, &pins);
	CHECK(stats_of(mm).tables > 1);
	return NULL;
}

TEST(mm_space, a_thread_that_ends_leaves_no_empty_table)
{
	struct mm *mm = new_space();

	thread_join(thread_start(leave_empty_tables, mm));
	CHECK_EQ(stats_of(mm).tables, 1);
	end_space(mm);
}

/* The target overlaps two tables, of which the move before may have made none. */
TEST(mm_space, the_last_table_of_pages_that_move_may_come_late)
{
	struct mm *mm = new_space();
	struct mm__thread *thread = mm__this_thread(mm);
	struct mm__pins pins = { NULL, 0, 0 };
	const unsigned int from = 256, n = 1024, to = 10 * 512 + 128, last = 1024;
	const unsigned int moved[] = { last, last + 127, last + 128, from + n - 1 };

	map(mm, from, n + 1, RW);
	CHECK_EQ(mm__pages_prepare_move(mm, thread, &pins, AT(from), AT(to), PAGES(n)), 0);
	CHECK_EQ(poke(mm, AT(from + n), 9), 0);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(poke(mm, AT(moved[i]), (int)i), 0);
	mm__pages_move(mm, thread, AT(from), AT(to), PAGES(n));
	for (unsigned int i = 0; i < 4; i++)
		CHECK(entry_of(mm, moved[i] - from + to) != 0);
	mm__pages_move(mm, thread, AT(to), AT(from), PAGES(n));
	mm__pages_unpin(mm, thread, &pins);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(peek(mm, AT(moved[i])), i);
	end_space(mm);
}
