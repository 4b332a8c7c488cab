/* SPDX-License-Identifier: MIT */
#include "pages.h"

#include "internal.h"
#include "memory.h"

#include <errno.h>

/* What was taken out of one table. */
struct gather {
	struct mm__frame *frame[MM__TABLE_ENTRIES];
	unsigned int count;
	unsigned int pages; /* with those of files, which have no frames */
};

static void take(struct gather *gather, struct mm__cpu_set *set, struct mm__table *table,
		 uint64_t addr)
{
	uint64_t entry = mm__entry_load(table, addr);

	if (!entry)
		return;
	mm__entry_store(table, addr, 0);
	mm__cpu_set_add(set, mm__entry_owner(entry));
	gather->pages++;
	if (!(entry & MM__FILE))
		gather->frame[gather->count++] = mm__entry_frame(entry);
}

/*
 * Takes the pages out of the next table that covers some of [*start, end), and moves *start up to
 * what it does not cover. False: there is no further table. *empty: the table is empty now.
 */
static bool take_table(struct mm *mm, struct mm__cpu *cpu, uint64_t *start, uint64_t end,
		       struct gather *gather, bool *empty)
{
	struct mm__cpu_set set = { .all = false };
	struct mm__table *table;
	uint64_t from;
	uint64_t stop;

	gather->count = 0;
	gather->pages = 0;
	mm__rcu_read_lock();
	table = mm__table_next(&mm->page_table, start, end);
	if (!table) {
		mm__rcu_read_unlock();
		return false;
	}
	from = *start;
	stop = mm__min(end, mm__table_end(from));
	*empty = false;
	if (mm__table_lock(table, *start)) {
		for (; *start < stop && table->nr_used; *start += MM_PAGE_SIZE)
			take(gather, &set, table, *start);
		/*
		 * With the lock: once a fault has put another page in, nobody may use the old one,
		 * or it would not see what was written to the new one, and lose what it writes.
		 */
		mm__tlb_flush(mm, cpu, &set, from, stop);
		*empty = !table->nr_used;
		mm__table_unlock(table);
	}
	mm__rcu_read_unlock();
	*start = stop;
	return true;
}

void mm__pages_zap(struct mm *mm, struct mm__cpu *cpu, uint64_t start, uint64_t end)
{
	struct gather gather;
	bool empty;

	while (take_table(mm, cpu, &start, end, &gather, &empty)) {
		mm__count_many(cpu, MM__PAGE_OUT, gather.pages);
		mm__cpu_drop_frames(cpu, gather.frame, gather.count);
		if (empty)
			mm__table_emptied(&mm->page_table, cpu, start - 1);
	}
}

static uint64_t restrict_entry(uint64_t entry, int prot)
{
	uint64_t allowed = (uint64_t)mm__effective_prot(prot);

	/* Only a fault knows whether the frame may be written to. */
	if (!(entry & MM_PROT_WRITE))
		allowed &= ~(uint64_t)MM_PROT_WRITE;
	return (entry & ~MM__PROT_BITS) | allowed;
}

static void protect_table(struct mm__table *table, uint64_t start, uint64_t end, int prot,
			  struct mm__cpu_set *set)
{
	for (; start < end; start += MM_PAGE_SIZE) {
		uint64_t entry = mm__entry_load(table, start);
		uint64_t restricted = restrict_entry(entry, prot);

		if (!entry || restricted == entry)
			continue;
		mm__entry_store(table, start, restricted);
		if (entry & ~restricted & MM__PROT_BITS)
			mm__cpu_set_add(set, mm__entry_owner(entry));
	}
}

void mm__pages_protect(struct mm *mm, struct mm__cpu *cpu, uint64_t start, uint64_t end, int prot)
{
	struct mm__cpu_set set = { .all = false };
	uint64_t addr = start;
	struct mm__table *table;

	mm__rcu_read_lock();
	while ((table = mm__table_next(&mm->page_table, &addr, end))) {
		uint64_t stop = mm__min(end, mm__table_end(addr));

		if (mm__table_lock(table, addr)) {
			protect_table(table, addr, stop, prot, &set);
			mm__table_unlock(table);
		}
		addr = stop;
	}
	mm__rcu_read_unlock();
	mm__tlb_flush(mm, cpu, &set, start, end);
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

/* Makes the table of addr if need be, and lets it be kept although it may be empty. */
static int pin(struct mm *mm, struct mm__cpu *cpu, struct mm__pins *pins, uint64_t addr)
{
	bool pinned = false;
	int error = add_pin(pins, addr);

	while (!error && !pinned) {
		struct mm__table *table;

		mm__rcu_read_lock();
		table = mm__table_make(&mm->page_table, cpu, addr);
		if (!table) {
			pins->count--;
			error = ENOMEM;
		} else if (mm__table_lock(table, addr)) {
			table->pins++;
			mm__table_unlock(table);
			pinned = true;
		}
		mm__rcu_read_unlock();
	}
	return error;
}

void mm__pages_unpin(struct mm *mm, struct mm__cpu *cpu, struct mm__pins *pins)
{
	while (pins->count) {
		uint64_t addr = pins->table[--pins->count];
		struct mm__table *table;
		bool empty;

		mm__rcu_read_lock();
		table = mm__table_find(&mm->page_table, addr);
		mm__table_lock(table, addr);
		table->pins--;
		empty = !table->nr_used;
		mm__table_unlock(table);
		mm__rcu_read_unlock();
		if (empty)
			mm__table_emptied(&mm->page_table, cpu, addr);
	}
	mm__free(pins->table);
	*pins = (struct mm__pins){ NULL, 0, 0 };
}

/* The next table of [*addr, end), with *addr moved up to it; says whether there is one. */
static bool next_table(struct mm *mm, uint64_t *addr, uint64_t end)
{
	bool found;

	mm__rcu_read_lock();
	found = mm__table_next(&mm->page_table, addr, end);
	mm__rcu_read_unlock();
	return found;
}

/* Where the pages arrive that one table covers, which may be in two. */
static int pin_two(struct mm *mm, struct mm__cpu *cpu, struct mm__pins *pins, uint64_t first,
		   uint64_t end)
{
	int error = pin(mm, cpu, pins, first);

	return error ? error : pin(mm, cpu, pins, end - MM_PAGE_SIZE);
}

/*
 * The first and the last table may not be there yet: a fault beside the range makes them, and then
 * one within, which is tried without a lock, may use them. Those in between stay missing.
 */
int mm__pages_prepare_move(struct mm *mm, struct mm__cpu *cpu, struct mm__pins *pins, uint64_t from,
			   uint64_t to, uint64_t length)
{
	uint64_t end = from + length;
	uint64_t addr = mm__min(end, mm__table_end(from));
	uint64_t last = mm__max(from, (end - 1) & ~(MM__TABLE_SPAN - 1));

	if (!length)
		return 0;
	if (pin_two(mm, cpu, pins, to, addr - from + to) ||
	    pin_two(mm, cpu, pins, last - from + to, to + length))
		return ENOMEM;
	while (next_table(mm, &addr, last)) {
		uint64_t stop = mm__table_end(addr);

		if (pin_two(mm, cpu, pins, addr - from + to, stop - from + to))
			return ENOMEM;
		addr = stop;
	}
	return 0;
}

/* Nobody can use the pages that are present in [start, end) any more, though they are there. */
static void hide(struct mm *mm, struct mm__cpu *cpu, uint64_t start, uint64_t end)
{
	struct mm__cpu_set set = { .all = false };
	uint64_t addr = start;
	struct mm__table *table;

	mm__rcu_read_lock();
	while ((table = mm__table_next(&mm->page_table, &addr, end))) {
		uint64_t stop = mm__min(end, mm__table_end(addr));

		if (!mm__table_lock(table, addr)) {
			addr = stop;
			continue;
		}
		for (; addr < stop; addr += MM_PAGE_SIZE) {
			uint64_t entry = mm__entry_load(table, addr);

			mm__cpu_set_add(&set, mm__entry_owner(entry));
			mm__entry_store(table, addr, entry & ~MM__PRESENT);
		}
		mm__table_unlock(table);
	}
	mm__rcu_read_unlock();
	mm__tlb_flush(mm, cpu, &set, start, end);
}

/* Takes the entries of [start, end), which one table covers, out into an array. */
static bool take_entries(struct mm *mm, uint64_t start, uint64_t end, uint64_t *entries)
{
	struct mm__table *table;
	bool any = false;

	mm__rcu_read_lock();
	table = mm__table_find(&mm->page_table, start);
	if (table && mm__table_lock(table, start)) {
		for (; start < end; start += MM_PAGE_SIZE, entries++) {
			*entries = mm__entry_load(table, start);
			any = any || *entries;
			mm__entry_store(table, start, 0);
		}
		mm__table_unlock(table);
	}
	mm__rcu_read_unlock();
	return any;
}

/* Puts n entries in from addr on; their tables are pinned. */
static void put_entries(struct mm *mm, uint64_t addr, const uint64_t *entries, unsigned int n)
{
	while (n) {
		struct mm__table *table;
		uint64_t stop = mm__min(addr + n * MM_PAGE_SIZE, mm__table_end(addr));
		bool any = false;

		for (unsigned int i = 0; i < (stop - addr) >> MM_PAGE_SHIFT; i++)
			any = any || entries[i];
		mm__rcu_read_lock();
		table = mm__table_find(&mm->page_table, addr);
		if (any)
			mm__table_lock(table, addr);
		for (; addr < stop; addr += MM_PAGE_SIZE, entries++, n--)
			if (*entries)
				mm__entry_store(table, addr,
						mm__entry_with_owner(*entries, 0) | MM__PRESENT);
		if (any)
			mm__table_unlock(table);
		mm__rcu_read_unlock();
	}
}

void mm__pages_move(struct mm *mm, struct mm__cpu *cpu, uint64_t from, uint64_t to, uint64_t length)
{
	uint64_t end = from + length;
	uint64_t entries[MM__TABLE_ENTRIES];

	hide(mm, cpu, from, end);
	for (uint64_t addr = from; next_table(mm, &addr, end);) {
		uint64_t stop = mm__min(end, mm__table_end(addr));

		if (take_entries(mm, addr, stop, entries)) {
			put_entries(mm, addr - from + to, entries,
				    (unsigned int)((stop - addr) >> MM_PAGE_SHIFT));
			mm__table_emptied(&mm->page_table, cpu, addr);
		}
		addr = stop;
	}
}

/*
 * Sharing
 */

/* The pages of [start, end), which one table covers; the child's has the same bounds. */
static unsigned int share_table(struct mm__table *from, struct mm__table *to, uint64_t start,
				uint64_t end, struct mm__cpu_set *set)
{
	unsigned int shared = 0;

	for (; start < end; start += MM_PAGE_SIZE) {
		uint64_t entry = mm__entry_load(from, start);
		uint64_t only_read = entry & ~(uint64_t)MM_PROT_WRITE;

		if (!entry)
			continue;
		if (entry != only_read) {
			mm__entry_store(from, start, only_read);
			mm__cpu_set_add(set, mm__entry_owner(entry));
		}
		if (!(entry & MM__FILE))
			mm__frame_get(mm__entry_frame(entry));
		mm__entry_store(to, start, mm__entry_with_owner(only_read, 0));
		shared++;
	}
	return shared;
}

int mm__pages_share(struct mm *mm, struct mm__cpu *child_cpu, uint64_t start, uint64_t end,
		    struct mm__cpu_set *set)
{
	struct mm *child = child_cpu->mm;

	while (next_table(mm, &start, end)) {
		uint64_t stop = mm__min(end, mm__table_end(start));
		struct mm__table *from;
		struct mm__table *to;

		mm__rcu_read_lock();
		to = mm__table_make(&child->page_table, child_cpu, start);
		from = mm__table_find(&mm->page_table, start);
		if (to && from && mm__table_lock(from, start)) {
			/* Nobody else knows the child's table: its lock is not needed. */
			mm__count_many(child_cpu, MM__PAGE_IN,
				       share_table(from, to, start, stop, set));
			mm__table_unlock(from);
		}
		mm__rcu_read_unlock();
		if (!to)
			return ENOMEM;
		start = stop;
	}
	return 0;
}
