/* SPDX-License-Identifier: MIT */
#include "page_table.h"

#include "memory.h"

#include <errno.h>
#include <string.h>

#define TOP MM__TOP_LEVEL

static unsigned int index_at(uint64_t addr, unsigned int level)
{
	return (unsigned int)(addr >> (MM_PAGE_SHIFT + 9 * level)) & (MM__TABLE_ENTRIES - 1);
}

/* The end of the range that the entry of addr covers in a table of this level. */
static uint64_t entry_end(uint64_t addr, unsigned int level)
{
	return (addr | ((UINT64_C(1) << (MM_PAGE_SHIFT + 9 * level)) - 1)) + 1;
}

static void init_table(struct mm__table *table)
{
	memset(&table->garbage, 0, sizeof(table->garbage));
	mm__table_lock_init(&table->lock);
	atomic_init(&table->dead, false);
	atomic_init(&table->waiters, 0);
	atomic_init(&table->filled, 0);
	table->nr_used = 0;
	table->pins = 0;
	for (unsigned int i = 0; i < MM__TABLE_ENTRIES; i++)
		atomic_init(&table->entry[i], 0);
}

/*
 * Aligned to its own cache lines: threads write some tables while others read tables beside them.
 */
static struct mm__table *new_table(void)
{
	struct mm__table *table = mm__allocate(128, sizeof(*table));

	if (table)
		init_table(table);
	return table;
}

void mm__page_table_init(struct mm__page_table *pt)
{
	init_table(&pt->top);
}

/* At a quiet moment. */
static struct mm__table *child_at(struct mm__table *table, unsigned int i)
{
	return (void *)(uintptr_t)atomic_load_explicit(&table->entry[i], memory_order_relaxed);
}

static void free_below(struct mm__table *table, unsigned int level)
{
	for (unsigned int i = 0; level && i < MM__TABLE_ENTRIES; i++) {
		struct mm__table *child = child_at(table, i);

		if (!child)
			continue;
		free_below(child, level - 1);
		mm__free(child);
	}
}

void mm__page_table_destroy(struct mm__page_table *pt)
{
	free_below(&pt->top, TOP);
}

/*
 * Descends to the table of this level. If there is none, *stop is the level of the table with the
 * empty entry.
 */
static struct mm__table *descend_to(struct mm__page_table *pt, uint64_t addr, unsigned int level,
				    unsigned int *stop)
{
	struct mm__table *table = &pt->top;

	for (*stop = TOP; table && *stop > level; --*stop) {
		table = mm__table_below(table, addr, *stop);
		if (!table)
			break;
	}
	return table;
}

struct mm__table *mm__table_next(struct mm__page_table *pt, uint64_t *addr, uint64_t end)
{
	while (*addr < end) {
		unsigned int stop;
		struct mm__table *table = descend_to(pt, *addr, 0, &stop);

		if (table)
			return table;
		*addr = entry_end(*addr, stop);
	}
	return NULL;
}

static void unlock_table(struct mm__table *table)
{
	mm__table_lock_drop(&table->lock);
	mm__order_drop(MM__ORDER_TABLE);
}

/* Locks a higher table. False: the table is dead, and is not locked. In an RCU read section. */
static bool lock_at(struct mm__table *table, unsigned int level, uint64_t addr)
{
	mm__order_take(MM__ORDER_TABLE, level, addr & ~(MM__TABLE_SPAN - 1));
	mm__table_lock_take(&table->lock);
	/* relaxed: it changes only under the lock */
	if (!atomic_load_explicit(&table->dead, memory_order_relaxed))
		return true;
	unlock_table(table);
	return false;
}

/*
 * Locks the table above the lowest table of addr. NULL: there is none. In an RCU read section.
 */
static struct mm__table *lock_parent(struct mm__page_table *pt, uint64_t addr)
{
	unsigned int stop;
	struct mm__table *parent = descend_to(pt, addr, 1, &stop);

	return parent && lock_at(parent, 1, addr) ? parent : NULL;
}

/*
 * Makes the table below the entry of addr in a parent of this level, if there is none. Changes
 * nothing if the parent is dead. False: no memory.
 */
static bool make_below(struct mm__table *parent, struct mm__thread *thread, uint64_t addr,
		       unsigned int level)
{
	struct mm__table *made = new_table();
	unsigned int i = index_at(addr, level);
	bool used = false;

	if (!made)
		return false;
	if (lock_at(parent, level, addr)) {
		used = !mm__table_below(parent, addr, level);
		if (used) {
			/* release [PT-T1]: pairs with [PT-T2] */
			atomic_store_explicit(&parent->entry[i], (uintptr_t)made,
					      memory_order_release);
			parent->nr_used++;
		}
		unlock_table(parent);
	}
	if (used) {
		mm__count(thread, MM__TABLE_MADE);
	} else {
		mm__free(made);
	}
	return true;
}

struct mm__table *mm__table_make(struct mm__page_table *pt, struct mm__thread *thread,
				 uint64_t addr)
{
	for (;;) {
		struct mm__table *parent = NULL, *table = &pt->top;
		unsigned int level = TOP;

		while (level) {
			struct mm__table *child = mm__table_below(table, addr, level);

			if (!child && !make_below(table, thread, addr, level))
				return NULL;
			child = mm__table_below(table, addr, level);
			if (!child)
				break;
			parent = table;
			table = child;
			level--;
		}
		if (!level)
			return table;
		/*
		 * Another thread has taken the child out again, or this table is dead. The thread
		 * that takes a dead table out has the parent locked until it has done so. The top
		 * never dies, and has no parent.
		 */
		if (parent && lock_at(parent, level + 1, addr))
			unlock_table(parent);
	}
}

void mm__table_await_removal(struct mm__page_table *pt, uint64_t addr)
{
	struct mm__table *parent;

	mm__rcu_read_lock();
	parent = lock_parent(pt, addr);
	if (parent)
		unlock_table(parent);
	mm__rcu_read_unlock();
}

/* Adds to the pins of the lowest table of addr. False: there is none. */
static bool add_pins(struct mm__page_table *pt, uint64_t addr, int more)
{
	struct mm__table *parent = lock_parent(pt, addr);
	struct mm__table *table = parent ? mm__table_below(parent, addr, 1) : NULL;

	if (table)
		table->pins += (unsigned int)more;
	if (parent)
		unlock_table(parent);
	return table;
}

int mm__table_pin(struct mm__page_table *pt, struct mm__thread *thread, uint64_t addr)
{
	bool pinned = false;
	bool made = true;

	while (made && !pinned) {
		mm__rcu_read_lock();
		made = mm__table_make(pt, thread, addr);
		pinned = made && add_pins(pt, addr, 1);
		mm__rcu_read_unlock();
	}
	return pinned ? 0 : ENOMEM;
}

void mm__table_unpin(struct mm__page_table *pt, struct mm__thread *thread, uint64_t addr)
{
	mm__rcu_read_lock();
	add_pins(pt, addr, -1);
	mm__rcu_read_unlock();
	mm__table_emptied(pt, thread, addr);
}

uint64_t mm__entry_wait(struct mm__table *table, uint64_t addr)
{
	uint64_t entry;

	while ((entry = mm__entry_load(table, addr)) & MM__BUSY)
		mm__entry_lock_wait(mm__table_entry(table, addr), &table->waiters);
	return entry;
}

/* Does not wait for a locked entry. */
static bool is_filled(struct mm__table *table, unsigned int i)
{
	/* relaxed: nothing of the page is used */
	return atomic_load_explicit(&table->entry[i], memory_order_relaxed) & ~MM__BUSY;
}

/*
 * Whether no entry of a lowest table is filled. Threads may have locked empty entries to fill them.
 * A thread that finds a filled entry leaves a hint, so that no thread searches a table in use again
 * and again.
 */
static bool looks_empty(struct mm__table *table)
{
	/* relaxed: a hint */
	unsigned int i = atomic_load_explicit(&table->filled, memory_order_relaxed);

	if (is_filled(table, i))
		return false;
	for (i = 0; i < MM__TABLE_ENTRIES; i++) {
		if (mm__entry_line_empty(table, i)) {
			i += MM__LINE_ENTRIES - 1;
		} else if (is_filled(table, i)) {
			atomic_store_explicit(&table->filled, i, memory_order_relaxed);
			return false;
		}
	}
	return true;
}

/* Whether all entries are empty. Waits for entries that are locked. */
static bool is_empty(struct mm__table *table)
{
	for (unsigned int i = 0; i < MM__TABLE_ENTRIES; i++)
		if (mm__entry_line_empty(table, i))
			i += MM__LINE_ENTRIES - 1;
		else if (mm__entry_await(table, i * MM_PAGE_SIZE))
			return false;
	return true;
}

/* Marks a lowest table dead if it can be taken out: [PT-P1]. With the parent's lock. */
static bool end_lowest(struct mm__table *table)
{
	if (table->pins)
		return false;
	atomic_store_explicit(&table->dead, true, memory_order_relaxed);
	mmrange__full_fence();
	if (is_empty(table))
		return true;
	/* relaxed: a thread that still finds it dead looks again under the parent's lock */
	atomic_store_explicit(&table->dead, false, memory_order_relaxed);
	return false;
}

/* The same for a higher table. */
static bool end_upper(struct mm__table *table, unsigned int level, uint64_t addr)
{
	bool empty;

	if (!lock_at(table, level, addr))
		return false;
	empty = !table->nr_used;
	if (empty)
		atomic_store_explicit(&table->dead, true, memory_order_relaxed);
	unlock_table(table);
	return empty;
}

/*
 * Takes the table of this level out of its parent if it is empty, and returns it for freeing.
 * *more: the parent is empty now, too, and may be taken out.
 */
static struct mm__table *take_out(struct mm__page_table *pt, uint64_t addr, unsigned int level,
				  bool *more)
{
	unsigned int stop;
	struct mm__table *parent = descend_to(pt, addr, level + 1, &stop);
	struct mm__table *table;
	bool ended;

	*more = false;
	if (!parent || !lock_at(parent, level + 1, addr))
		return NULL;
	table = mm__table_below(parent, addr, level + 1);
	ended = table && (level ? end_upper(table, level, addr) : end_lowest(table));
	if (ended) {
		/* relaxed: nothing is published */
		atomic_store_explicit(&parent->entry[index_at(addr, level + 1)], 0,
				      memory_order_relaxed);
		*more = !--parent->nr_used && level + 1 < TOP;
	}
	unlock_table(parent);
	return ended ? table : NULL;
}

/* A hint whether the lowest table of addr is empty, before the parent is locked to take it out. */
static bool may_be_empty(struct mm__page_table *pt, uint64_t addr)
{
	struct mm__table *table;
	bool empty;

	/* [PT-E] */
	mmrange__full_fence();
	mm__rcu_read_lock();
	table = mm__table_find(pt, addr);
	empty = table && looks_empty(table);
	mm__rcu_read_unlock();
	return empty;
}

static void try_free(struct mm__page_table *pt, struct mm__thread *thread, uint64_t addr)
{
	bool more = may_be_empty(pt, addr);

	for (unsigned int level = 0; more; level++) {
		struct mm__table *table;

		mm__rcu_read_lock();
		table = take_out(pt, addr, level, &more);
		mm__rcu_read_unlock();
		if (!table)
			return;
		mm__count(thread, MM__TABLE_FREED);
		mm__rcu_defer(&table->garbage, MM__RCU_PAGE);
	}
}

void mm__table_emptied(struct mm__page_table *pt, struct mm__thread *thread, uint64_t addr)
{
	uint64_t table = (addr & ~(MM__TABLE_SPAN - 1)) + 1;
	uint64_t oldest;

	for (unsigned int i = 0; i < MM__KEPT_TABLES; i++)
		if (thread->empty_table[i] == table)
			return;
	oldest = thread->empty_table[thread->next_empty];
	thread->empty_table[thread->next_empty] = table;
	thread->next_empty = (thread->next_empty + 1) % MM__KEPT_TABLES;
	if (!oldest)
		return;
	try_free(pt, thread, oldest - 1);
	mm__rcu_throttle();
}

void mm__tables_unkept(struct mm__page_table *pt, struct mm__thread *thread)
{
	for (unsigned int i = 0; i < MM__KEPT_TABLES; i++) {
		if (thread->empty_table[i])
			try_free(pt, thread, thread->empty_table[i] - 1);
		thread->empty_table[i] = 0;
	}
}

static uint64_t count_below(struct mm__table *table, unsigned int level)
{
	uint64_t count = 1;

	for (unsigned int i = 0; level && i < MM__TABLE_ENTRIES; i++) {
		struct mm__table *child = child_at(table, i);

		if (child)
			count += count_below(child, level - 1);
	}
	return count;
}

uint64_t mm__page_table_count(struct mm__page_table *pt)
{
	return count_below(&pt->top, TOP);
}

/* Fields that the level does not use are 0. */
static bool valid_below(struct mm__table *table, unsigned int level)
{
	unsigned int used = 0;

	for (unsigned int i = 0; level && i < MM__TABLE_ENTRIES; i++) {
		struct mm__table *child = child_at(table, i);

		if (!child)
			continue;
		used++;
		if (!valid_below(child, level - 1))
			return false;
	}
	return used == table->nr_used && !table->pins &&
	       !atomic_load_explicit(&table->waiters, memory_order_relaxed) &&
	       !atomic_load_explicit(&table->dead, memory_order_relaxed);
}

bool mm__page_table_valid(struct mm__page_table *pt)
{
	return valid_below(&pt->top, TOP);
}
