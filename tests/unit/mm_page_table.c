/* SPDX-License-Identifier: MIT */
/* Page tables that several threads make and free at the same time, and tables with few pages. */
#include "mm/attach.h"
#include "spaces.h"
#include "threads.h"

struct writer {
	struct mm *mm;
	uint64_t addr;
	atomic_bool done;
	pthread_t thread;
};

static void *write_there(void *arg)
{
	struct writer *writer = arg;

	CHECK_EQ(poke(writer->mm, writer->addr, 7), 0);
	atomic_store(&writer->done, true);
	return NULL;
}

/* Returns when the writer waits for the lock of a table. */
static void start_to_wait_for(struct writer *writer, struct mm__table *table)
{
	writer->thread = thread_start(write_there, writer);
	AWAIT(atomic_load(&table->lock.waiters) || atomic_load(&writer->done));
	CHECK(!atomic_load(&writer->done));
}

TEST(mm_page_table, is_changed_with_its_lock_only_and_counts_its_waiters)
{
	struct mm *mm = new_space();
	struct mm__table *top = &mm->page_table.top;
	struct writer writer = { .mm = mm, .addr = AT(0) };

	map(mm, 0, 1, RW);
	mm__table_lock_take(&top->lock);
	start_to_wait_for(&writer, top);
	CHECK_EQ(top->nr_used, 0);
	mm__table_lock_drop(&top->lock);
	thread_join(writer.thread);
	CHECK_EQ(atomic_load(&top->lock.waiters), 0);
	CHECK_EQ(peek(mm, AT(0)), 7);
	end_space(mm);
}

/* As take_out() in page_table.c does it, with the lock of the parent. */
static void take_out(struct mm *mm, struct mm__table *parent, unsigned int level, uint64_t addr)
{
	struct mm__table *table = mm__table_below(parent, addr, level);
	unsigned int shift = MM_PAGE_SHIFT + 9 * level;

	CHECK_EQ(table->nr_used, 0);
	atomic_store(&table->dead, true);
	parent->nr_used--;
	atomic_store(&parent->entry[addr >> shift & (MM__TABLE_ENTRIES - 1)], 0);
	mm__count(mm__this_thread(mm), MM__TABLE_FREED);
}

TEST(mm_page_table, a_table_whose_parent_has_died_is_made_below_a_new_one)
{
	struct mm *mm = new_space();
	struct writer writer = { .mm = mm, .addr = AT(512) };
	struct mm__table *table[MM__TOP_LEVEL + 1];

	map(mm, 0, 513, RW);
	CHECK_EQ(poke(mm, AT(0), 1), 0);
	CHECK_EQ(mm_madvise(mm, AT(0), PAGES(1), MM_MADV_DONTNEED), 0);
	table[MM__TOP_LEVEL] = &mm->page_table.top;
	for (unsigned int level = MM__TOP_LEVEL; level > 0; level--)
		table[level - 1] = mm__table_below(table[level], AT(0), level);
	mm__table_lock_take(&table[1]->lock);
	start_to_wait_for(&writer, table[1]);
	take_out(mm, table[1], 1, AT(0));
	take_out(mm, table[2], 2, AT(0));
	mm__rcu_read_lock();
	mm__table_lock_drop(&table[1]->lock);
	mm__rcu_read_unlock();
	thread_join(writer.thread);
	mm__rcu_defer(&table[0]->garbage, 1);
	mm__rcu_defer(&table[1]->garbage, 1);
	CHECK(mm__table_below(table[2], AT(512), 2) != NULL);
	CHECK_EQ(peek(mm, AT(512)), 7);
	CHECK_EQ(peek(mm, AT(0)), 0);
	end_space(mm);
}

/*
 * Few pages
 */

#define PAGES_LOOKED_AT (3 * MM__LINE_ENTRIES)

static void drop_page(struct mm *mm, unsigned int page)
{
	CHECK_EQ(mm_madvise(mm, AT(page), PAGES(1), MM_MADV_DONTNEED), 0);
}

/* Frees the tables that the thread keeps, if they are empty. */
static void free_kept(struct mm *mm)
{
	mm__tables_unkept(&mm->page_table, mm__this_thread(mm));
}

/* A thread leaves a hint where it has found a page. The hint holds only while the page is there. */
TEST(mm_page_table, a_table_that_was_found_in_use_is_freed_once_it_is_empty)
{
	struct mm *mm = new_space();
	uint64_t tables = stats_of(mm).tables;
	struct mm__table *table;

	map(mm, 0, 512, RW);
	CHECK_EQ(poke(mm, AT(1), 7), 0);
	CHECK_EQ(poke(mm, AT(200), 7), 0);
	drop_page(mm, 1);
	free_kept(mm);
	mm__rcu_read_lock();
	table = mm__table_find(&mm->page_table, AT(200));
	CHECK(table);
	CHECK_EQ(atomic_load(&table->filled), 200);
	mm__rcu_read_unlock();
	drop_page(mm, 200);
	free_kept(mm);
	CHECK_EQ(stats_of(mm).tables, tables);
	end_space(mm);
}

TEST(mm_page_table, a_table_with_one_page_in_any_place_is_not_freed)
{
	struct mm *mm = new_space();
	unsigned char present;

	map(mm, 0, 512, RW);
	for (unsigned int i = 0; i < PAGES_LOOKED_AT; i++) {
		CHECK_EQ(poke(mm, AT(i), 7), 0);
		CHECK_EQ(poke(mm, AT(500), 7), 0);
		drop_page(mm, 500);
		free_kept(mm);
		CHECK_EQ(mm_mincore(mm, AT(i), PAGES(1), &present), 0);
		CHECK_EQ(present, 1);
		drop_page(mm, i);
	}
	end_space(mm);
}

/* A zap skips lines of empty entries. */
TEST(mm_page_table, a_page_in_any_place_beside_empty_lines_is_taken_out)
{
	struct mm *mm = new_space();

	for (unsigned int first = 0; first < MM__LINE_ENTRIES; first++) {
		for (unsigned int i = first; i < PAGES_LOOKED_AT; i++) {
			map(mm, 0, PAGES_LOOKED_AT, RW);
			CHECK_EQ(poke(mm, AT(i), 7), 0);
			CHECK_EQ(mm_munmap(mm, AT(first), PAGES(PAGES_LOOKED_AT - first)), 0);
			CHECK_EQ(stats_of(mm).pages, 0);
		}
	}
	end_space(mm);
}

/* The page behind the end of the range is in the line that the zap looks at last. */
TEST(mm_page_table, a_zap_that_skips_lines_ends_with_its_range)
{
	struct mm *mm = new_space();

	map(mm, 0, PAGES_LOOKED_AT, RW);
	for (unsigned int n = 1; n < PAGES_LOOKED_AT; n++) {
		CHECK_EQ(poke(mm, AT(n), 7), 0);
		CHECK_EQ(mm_madvise(mm, AT(0), PAGES(n), MM_MADV_DONTNEED), 0);
		CHECK_EQ(peek(mm, AT(n)), 7);
		drop_page(mm, n);
	}
	end_space(mm);
}
