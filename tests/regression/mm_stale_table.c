/* SPDX-License-Identifier: MIT */
/*
 * A fault has found a page table, which then becomes empty and is freed. The VMA does not change.
 */
#include "mm/attach.h"
#include "mm/memory.h"
#include "stepper.h"

#include <string.h>

#define TABLE 512u /* in pages */

static void drop_page(struct mm *mm, unsigned int page)
{
	CHECK_EQ(mm_madvise(mm, AT(page), PAGES(1), MM_MADV_DONTNEED), 0);
}

/* One page in each of so many tables that an unmapper frees the first table when all are empty. */
static struct mm *space_with_tables(void)
{
	struct mm *mm = new_space();

	map(mm, 0, (MM__KEPT_TABLES + 1) * TABLE, RW);
	for (unsigned int i = 0; i <= MM__KEPT_TABLES; i++)
		CHECK_EQ(poke(mm, AT(i * TABLE + 1), 9), 0);
	return mm;
}

static void drop_pages(struct mm *mm)
{
	for (unsigned int i = 0; i <= MM__KEPT_TABLES; i++)
		drop_page(mm, i * TABLE + 1);
}

static void free_first_table(struct mm *mm)
{
	uint64_t tables = stats_of(mm).tables;

	drop_pages(mm);
	CHECK_EQ(stats_of(mm).tables, tables - 1);
}

TEST(mm_stale_table, no_page_is_installed_in_an_unreachable_table)
{
	struct mm *mm = space_with_tables();
	struct stepper thread;
	unsigned char present;

	start_write_fault(&thread, mm, AT_ENTRY);
	free_first_table(mm);
	step_to_end(&thread);
	CHECK_EQ(thread.result, 0);
	CHECK_EQ(mm_mincore(mm, AT(0), PAGES(1), &present), 0);
	CHECK_EQ(present, 1);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_TABLE), 1);
	end_space(mm);
}

TEST(mm_stale_table, a_table_is_not_freed_while_a_fault_is_about_to_lock_it)
{
	struct mm *mm = space_with_tables();
	struct stepper thread;

	start_write_fault(&thread, mm, AT_ENTRY);
	watch_free(table_at(mm, AT(0)));
	free_first_table(mm);
	CHECK(!was_freed());
	step_to_end(&thread);
	mm__rcu_barrier();
	CHECK(was_freed());
	end_space(mm);
}

static void drop_each(struct stepper *self)
{
	step_pause(self);
	drop_pages(self->mm);
}

/*
 * The fault has locked an entry of the empty table, and has not yet checked whether the table is
 * dead.
 */
TEST(mm_stale_table, a_fault_that_has_locked_an_entry_finds_the_table_dead)
{
	struct mm *mm = space_with_tables();
	struct stepper thread;
	struct stepper dropper;

	start_write_fault(&thread, mm, AFTER_ENTRY);
	step_start(&dropper, drop_each, mm);
	CHECK_EQ(step_to(&dropper, AT_ENTRY_WAIT), AT_ENTRY_WAIT);
	step_to_ends(&thread, &dropper);
	CHECK_EQ(thread.result, 0);
	CHECK_EQ(peek(mm, AT(0)), 0);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_TABLE), 1);
	end_space(mm);
}

/* The fault has checked that, too, and is interrupted before it unlocks the entry. */
TEST(mm_stale_table, a_table_is_not_taken_out_while_a_fault_fills_it)
{
	struct mm *mm = space_with_tables();
	uint64_t tables = stats_of(mm).tables;
	struct stepper thread;
	struct stepper dropper;

	start_write_fault(&thread, mm, AFTER_ENTRY);
	step_start(&dropper, drop_each, mm);
	step_interrupt(&thread);
	CHECK_EQ(step_to(&dropper, AT_ENTRY_WAIT), AT_ENTRY_WAIT);
	step_resume(&thread);
	step_to_ends(&thread, &dropper);
	CHECK(!atomic_load(&table_at(mm, AT(0))->dead));
	/* The dropper has ended, and keeps no table. */
	CHECK_EQ(stats_of(mm).tables, tables - MM__KEPT_TABLES);
	CHECK_EQ(thread.result, 0);
	CHECK_EQ(peek(mm, AT(0)), 0);
	CHECK_EQ(fallbacks(mm, MM_FALLBACK_TABLE), 0);
	end_space(mm);
}

/*
 * Two threads make the first table below the top, and one of them finds that the other was faster.
 * Before it looks there again, the table is taken out, because another thread has found it empty.
 */
TEST(mm_stale_table, a_table_below_the_top_that_is_taken_out_at_once_is_made_again)
{
	struct mm *mm = new_space();
	struct mm__table *top = &mm->page_table.top;
	struct mm__table *table = mm__allocate(_Alignof(struct mm__table), sizeof(*table));
	unsigned int i = AT(0) >> (MM_PAGE_SHIFT + 9 * MM__TOP_LEVEL) & (MM__TABLE_ENTRIES - 1);
	struct stepper thread;

	CHECK(table);
	memset(table, 0, sizeof(*table));
	map(mm, 0, 1, RW);
	step_start(&thread, write_fault, mm);
	mm__table_lock_take(&top->lock);
	step_on(&thread, AT_FREE);
	AWAIT(atomic_load(&top->lock.waiters));
	atomic_store(&top->entry[i], (uintptr_t)table);
	top->nr_used++;
	mm__table_lock_drop(&top->lock);
	CHECK_EQ(step_await(&thread), AT_FREE);
	mm__table_lock_take(&top->lock);
	atomic_store(&table->dead, true);
	atomic_store(&top->entry[i], 0);
	top->nr_used--;
	mm__table_lock_drop(&top->lock);
	CHECK(mm__os_thread_attach());
	mm__rcu_defer(&table->garbage, 1);
	step_to_end(&thread);
	CHECK_EQ(thread.result, 0);
	CHECK_EQ(peek(mm, AT(0)), 0);
	end_space(mm);
}
