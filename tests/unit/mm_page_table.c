/* SPDX-License-Identifier: MIT */
/* Several threads make and free page tables at the same time. The test plays one of the threads. */
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
