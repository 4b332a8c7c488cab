/* SPDX-License-Identifier: MIT */
/*
 * A fault has found a page table, which becomes empty and is freed. The area stays as it is.
 */
#include "stepper.h"

#define TABLE 512u /* in pages */

static void write_fault(struct stepper *self)
{
	step_ready(self);
	self->result = touch(self->mm, AT(0), W);
}

static void drop_page(struct mm *mm, unsigned int page)
{
	CHECK_EQ(mm_madvise(mm, AT(page), PAGES(1), MM_MADV_DONTNEED), 0);
}

/* A page in each of so many tables that the first one is freed when all are empty. */
static struct mm *space_with_tables(void)
{
	struct mm *mm = new_space();

	map(mm, 0, (MM__KEPT_TABLES + 1) * TABLE, RW);
	for (unsigned int i = 0; i <= MM__KEPT_TABLES; i++)
		CHECK_EQ(poke(mm, AT(i * TABLE + 1), 9), 0);
	return mm;
}

static void free_first_table(struct mm *mm)
{
	uint64_t tables = stats_of(mm).tables;

	for (unsigned int i = 0; i <= MM__KEPT_TABLES; i++)
		drop_page(mm, i * TABLE + 1);
	CHECK_EQ(stats_of(mm).tables, tables - 1);
}

TEST(mm_stale_table, no_page_is_installed_in_a_table_that_nobody_finds)
{
	struct mm *mm = space_with_tables();
	struct stepper thread;
	unsigned char present;

	step_start(&thread, write_fault, mm);
	CHECK_EQ(step_to_table(&thread, AT(0), 0), AT_TABLE_LOCK);
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

	step_start(&thread, write_fault, mm);
	CHECK_EQ(step_to_table(&thread, AT(0), 0), AT_TABLE_LOCK);
	watch_free(table_at(mm, AT(0)));
	free_first_table(mm);
	CHECK(!was_freed());
	step_to_end(&thread);
	mm__rcu_barrier();
	CHECK(was_freed());
	end_space(mm);
}
