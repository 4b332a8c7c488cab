/* SPDX-License-Identifier: MIT */
#include "pages.h"

#include "frame_supply.h"
#include "memory.h"
#include "page.h"

#include <errno.h>

/* What the entries in a cache line cover. */
#define LINE (MM__LINE_ENTRIES * MM_PAGE_SIZE)

static unsigned int index_in_table(uint64_t addr)
{
	return (unsigned int)(addr >> MM_PAGE_SHIFT) & (MM__TABLE_ENTRIES - 1);
}

/* The pages taken out of one table. */
struct gather {
	struct mm__frame *frame[MM__TABLE_ENTRIES];
	unsigned int count;
	unsigned int pages;                 /* including those of files, which have no frames */
	uint16_t locked[MM__TABLE_ENTRIES]; /* indexes of entries to clear after the flush */
	unsigned int nr_locked;
	struct mm__thread_set set;
};

/*
 * Takes a page out. If other threads may have the entry in their TLBs, it stays until the flush,
 * and is locked. Once a fault has put another page in, no thread may use the old page: it would not
 * see what other threads have written to the new page, and its own writes would be lost. The
 * calling thread uses no page before the flush, so its own TLB does not matter.
 */
static void take_entry(struct gather *gather, struct mm__thread *thread, struct mm__table *table,
		       uint64_t addr)
{
	uint64_t entry;
	bool waits;

	do {
		entry = mm__entry_await(table, addr);
		if (!entry)
			return;
		waits = mm__entry_owner(entry) && mm__entry_owner(entry) != thread->number;
	} while (!mm__entry_replace(table, addr, entry, waits ? entry | MM__BUSY : 0));
	if (waits)
		gather->locked[gather->nr_locked++] =
			(uint16_t)(mm__table_entry(table, addr) - table->entry);
	mm__thread_set_add(&gather->set, mm__entry_owner(entry));
	gather->pages++;
	if (!(entry & MM__FILE))
		gather->frame[gather->count++] = mm__entry_frame(entry);
}

/*
 * Takes out the pages of [start, end), which one table covers, and flushes all TLBs that have them.
 */
static void take_all(struct gather *gather, struct mm *mm, struct mm__thread *thread,
		     struct mm__table *table, uint64_t start, uint64_t end)
{
	mm__order_take(MM__ORDER_TABLE, 0, start);
	for (uint64_t addr = start; addr < end; addr += MM_PAGE_SIZE)
		if (end - addr >= LINE && mm__entry_line_empty(table, index_in_table(addr)))
			addr += LINE - MM_PAGE_SIZE;
		else
			take_entry(gather, thread, table, addr);
	mm__tlb_flush(mm, thread, &gather->set, start, end);
	if (gather->nr_locked)
		mm__entry_lock_drop_all(table->entry, gather->locked, gather->nr_locked,
					&table->waiters);
	mm__order_drop(MM__ORDER_TABLE);
}

/*
 * Takes the pages out of the next table that overlaps [*start, end), and moves *start up to the end
 * of what it has done. False: there is no further table.
 */
static bool take_table(struct mm *mm, struct mm__thread *thread, uint64_t *start, uint64_t end,
		       struct gather *gather)
{
	struct mm__table *table;
	uint64_t stop = end;

	gather->count = 0;
	gather->pages = 0;
	gather->nr_locked = 0;
	gather->set = (struct mm__thread_set){ .all = false };
	mm__rcu_read_lock();
	table = mm__table_next(&mm->page_table, start, end);
	if (table) {
		stop = mm__min(end, mm__table_end(*start));
		take_all(gather, mm, thread, table, *start, stop);
	}
	mm__rcu_read_unlock();
	*start = stop;
	return table;
}

void mm__pages_zap(struct mm *mm, struct mm__thread *thread, uint64_t start, uint64_t end)
{
	struct gather gather;

	while (take_table(mm, thread, &start, end, &gather)) {
		if (!gather.pages)
			continue;
		mm__count_many(thread, MM__PAGE_OUT, gather.pages);
		mm__thread_drop_frames(thread, gather.frame, gather.count);
		mm__table_emptied(&mm->page_table, thread, start - 1);
	}
}

static uint64_t restrict_entry(uint64_t entry, int prot)
{
	uint64_t allowed = (uint64_t)mm__effective_prot(prot);

	/* Only a fault can tell whether the frame may be written to. */
	if (!(entry & MM_PROT_WRITE))
		allowed &= ~(uint64_t)MM_PROT_WRITE;
	return (entry & ~MM__PROT_BITS) | allowed;
}

/* Does not lock the entry, and does not change an entry that needs no change. */
static void protect_page(struct mm__table *table, uint64_t addr, int prot,
			 struct mm__thread_set *set)
{
	uint64_t restricted;
	uint64_t entry;

	do {
		entry = mm__entry_await(table, addr);
		restricted = restrict_entry(entry, prot);
		if (!entry || restricted == entry)
			return;
	} while (!mm__entry_replace(table, addr, entry, restricted));
	if (entry & ~restricted & MM__PROT_BITS)
		mm__thread_set_add(set, mm__entry_owner(entry));
}

void mm__pages_protect(struct mm *mm, struct mm__thread *thread, uint64_t start, uint64_t end,
		       int prot)
{
	struct mm__thread_set set = { .all = false };
	uint64_t addr = start;
	struct mm__table *table;

	mm__rcu_read_lock();
	while ((table = mm__table_next(&mm->page_table, &addr, end))) {
		uint64_t stop = mm__min(end, mm__table_end(addr));

		for (; addr < stop; addr += MM_PAGE_SIZE)
			protect_page(table, addr, prot, &set);
	}
	mm__rcu_read_unlock();
	mm__tlb_flush(mm, thread, &set, start, end);
}

/*
 * Moving
 */

static int add_pin(struct mm__pins *pins, uint64_t addr)
{
	if (pins->count == pins->size) {
		unsigned int size = pins->size ? 2 * pins->size : 16;
		uint64_t *table = mm__reallocate(pins->table, size, sizeof(*table));

		if (!table)
			return ENOMEM;
		pins->table = table;
		pins->size = size;
	}
	pins->table[pins->count++] = addr;
	return 0;
}

static int pin_table(struct mm *mm, struct mm__thread *thread, struct mm__pins *pins, uint64_t addr)
{
	int error = add_pin(pins, addr);

	if (error)
		return error;
	error = mm__table_pin(&mm->page_table, thread, addr);
	if (error)
		pins->count--;
	return error;
}

void mm__pages_unpin(struct mm *mm, struct mm__thread *thread, struct mm__pins *pins)
{
	while (pins->count)
		mm__table_unpin(&mm->page_table, thread, pins->table[--pins->count]);
	mm__free(pins->table);
	*pins = (struct mm__pins){ NULL, 0, 0 };
}

/* Moves *addr up to the next table of [*addr, end). False: there is none. */
static bool next_table(struct mm *mm, uint64_t *addr, uint64_t end)
{
	bool found;

	mm__rcu_read_lock();
	found = mm__table_next(&mm->page_table, addr, end);
	mm__rcu_read_unlock();
	return found;
}

/*
 * Pins the tables of the pages [first, end). Those arrive from one table, and so lie in at most
 * two.
 */
static int pin_two(struct mm *mm, struct mm__thread *thread, struct mm__pins *pins, uint64_t first,
		   uint64_t end)
{
	int error = pin_table(mm, thread, pins, first);

	return error ? error : pin_table(mm, thread, pins, end - MM_PAGE_SIZE);
}

/*
 * The first and the last table of the old place may be missing now: a fault beside the range may
 * make them, and then a speculative fault in the range may use them. Tables in between stay
 * missing, because the range covers them wholly.
 */
int mm__pages_prepare_move(struct mm *mm, struct mm__thread *thread, struct mm__pins *pins,
			   uint64_t from, uint64_t to, uint64_t length)
{
	uint64_t end = from + length;
	uint64_t addr = mm__min(end, mm__table_end(from));
	uint64_t last = mm__max(from, (end - 1) & ~(MM__TABLE_SPAN - 1));

	if (!length)
		return 0;
	if (pin_two(mm, thread, pins, to, addr - from + to) ||
	    pin_two(mm, thread, pins, last - from + to, to + length))
		return ENOMEM;
	while (next_table(mm, &addr, last)) {
		uint64_t stop = mm__table_end(addr);

		if (pin_two(mm, thread, pins, addr - from + to, stop - from + to))
			return ENOMEM;
		addr = stop;
	}
	return 0;
}

static void hide_page(struct mm__table *table, uint64_t addr, struct mm__thread_set *set)
{
	uint64_t entry;

	do {
		entry = mm__entry_await(table, addr);
	} while (entry && !mm__entry_replace(table, addr, entry, entry & ~MM__PRESENT));
	mm__thread_set_add(set, mm__entry_owner(entry));
}

/*
 * Makes the pages in [start, end) not present, and flushes TLBs, so that no thread can use the
 * pages. They stay in their entries.
 */
static void hide_in_table(struct mm *mm, struct mm__thread *thread, uint64_t start, uint64_t end)
{
	struct mm__thread_set set = { .all = false };
	uint64_t addr = start;
	struct mm__table *table;

	mm__rcu_read_lock();
	while ((table = mm__table_next(&mm->page_table, &addr, end))) {
		uint64_t stop = mm__min(end, mm__table_end(addr));

		for (; addr < stop; addr += MM_PAGE_SIZE)
			hide_page(table, addr, &set);
	}
	mm__rcu_read_unlock();
	mm__tlb_flush(mm, thread, &set, start, end);
}

/*
 * Moves the entries of [start, end), which one table covers, to an array. False: all were empty.
 */
static bool take_entries(struct mm *mm, uint64_t start, uint64_t end, uint64_t *entries)
{
	struct mm__table *table;
	bool any = false;

	mm__rcu_read_lock();
	table = mm__table_find(&mm->page_table, start);
	for (; table && start < end; start += MM_PAGE_SIZE, entries++) {
		do {
			*entries = mm__entry_await(table, start);
		} while (*entries && !mm__entry_replace(table, start, *entries, 0));
		any = any || *entries;
	}
	mm__rcu_read_unlock();
	return any;
}

/* Stores n entries from addr on. Their tables are pinned, and so not dead. */
static void put_entries(struct mm *mm, uint64_t addr, const uint64_t *entries, unsigned int n)
{
	while (n) {
		uint64_t stop = mm__min(addr + n * MM_PAGE_SIZE, mm__table_end(addr));
		struct mm__table *table;

		mm__rcu_read_lock();
		table = mm__table_find(&mm->page_table, addr);
		for (; addr < stop; addr += MM_PAGE_SIZE, entries++, n--) {
			uint64_t entry = mm__entry_with_owner(*entries, 0) | MM__PRESENT;

			/*
			 * A fault may have locked the entry, and is about to see that the VMA has
			 * changed.
			 */
			while (*entries &&
			       !mm__entry_replace(table, addr, mm__entry_await(table, addr), entry))
				;
		}
		mm__rcu_read_unlock();
	}
}

void mm__pages_move(struct mm *mm, struct mm__thread *thread, uint64_t from, uint64_t to,
		    uint64_t length)
{
	uint64_t end = from + length;
	uint64_t entries[MM__TABLE_ENTRIES];

	hide_in_table(mm, thread, from, end);
	for (uint64_t addr = from; next_table(mm, &addr, end);) {
		uint64_t stop = mm__min(end, mm__table_end(addr));

		if (take_entries(mm, addr, stop, entries)) {
			put_entries(mm, addr - from + to, entries,
				    (unsigned int)((stop - addr) >> MM_PAGE_SHIFT));
			mm__table_emptied(&mm->page_table, thread, addr);
		}
		addr = stop;
	}
}

/*
 * Sharing
 */

/*
 * Shares the pages of [start, end), which one table covers. The child's table covers the same
 * range.
 */
static unsigned int share_table(struct mm__table *from, struct mm__table *to, uint64_t start,
				uint64_t end, struct mm__thread_set *set)
{
	unsigned int shared = 0;

	for (; start < end; start += MM_PAGE_SIZE) {
		uint64_t entry = mm__entry_lock(from, start);
		uint64_t only_read = entry & ~(uint64_t)MM_PROT_WRITE;

		if (!entry)
			continue;
		if (entry != only_read)
			mm__thread_set_add(set, mm__entry_owner(entry));
		if (!(entry & MM__FILE))
			mm__frame_get(mm__entry_frame(entry));
		mm__entry_store(to, start, mm__entry_with_owner(only_read, 0));
		mm__entry_unlock(from, start, only_read);
		shared++;
	}
	return shared;
}

int mm__pages_share(struct mm *mm, struct mm__thread *child_thread, uint64_t start, uint64_t end,
		    struct mm__thread_set *set)
{
	struct mm *child = child_thread->mm;

	while (next_table(mm, &start, end)) {
		uint64_t stop = mm__min(end, mm__table_end(start));
		struct mm__table *from;
		struct mm__table *to;

		mm__rcu_read_lock();
		to = mm__table_make(&child->page_table, child_thread, start);
		from = mm__table_find(&mm->page_table, start);
		/* No other thread knows the child's table. */
		if (to && from)
			mm__count_many(child_thread, MM__PAGE_IN,
				       share_table(from, to, start, stop, set));
		mm__rcu_read_unlock();
		if (!to)
			return ENOMEM;
		start = stop;
	}
	return 0;
}
