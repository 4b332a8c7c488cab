/* SPDX-License-Identifier: MIT */
/*
 * Level 3 is the top table, level 0 the lowest.
 *
 * Ordering: a table is linked in with a release [T1], and found with an acquire [T2]: who finds it
 * sees it initialised. Entries are ordered by the lock of their table; what is read without it is a
 * hint.
 */
#include "page_table.h"

#include <errno.h>
#include <stdlib.h>

#define TOP 3u

static unsigned int index_at(uint64_t addr, unsigned int level)
{
	return (unsigned int)(addr >> (MM_PAGE_SHIFT + 9 * level)) & (MM__TABLE_ENTRIES - 1);
}

/* The end of what the entry of addr in a table of this level covers. */
static uint64_t entry_end(uint64_t addr, unsigned int level)
{
	return (addr | ((UINT64_C(1) << (MM_PAGE_SHIFT + 9 * level)) - 1)) + 1;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void mm__page_table_init(struct mm__page_table *pt, struct mm__frames *frames)
{
	pt->frames = frames;
	for (unsigned int i = 0; i < MM__TABLE_ENTRIES; i++)
		atomic_init(&pt->top.below[i], NULL);
	mm__count_event(frames, MM__TABLE_MADE);
}

/* On lines of its own: the lock of one table is written while its neighbours in memory are read. */
static void *alloc_table(size_t size)
{
	void *table;

	return posix_memalign(&table, 128, size) ? NULL : table;
}

static void *new_upper_table(void)
{
	struct mm__upper_table *table = alloc_table(sizeof(*table));

	for (unsigned int i = 0; table && i < MM__TABLE_ENTRIES; i++)
		atomic_init(&table->below[i], NULL);
	return table;
}

static void *new_table(void)
{
	struct mm__table *table = alloc_table(sizeof(*table));

	if (!table)
		return NULL;
	if (pthread_mutex_init(&table->lock, NULL)) {
		free(table);
		return NULL;
	}
	table->nr_present = 0;
	for (unsigned int i = 0; i < MM__TABLE_ENTRIES; i++)
		atomic_init(&table->entry[i], 0);
	return table;
}

/* Frees a table of this level and what is below it. */
static void free_table(void *memory, unsigned int level)
{
	if (level) {
		struct mm__upper_table *upper = memory;

		for (unsigned int i = 0; i < MM__TABLE_ENTRIES; i++) {
			void *below = atomic_load_explicit(&upper->below[i], memory_order_relaxed);

			if (below)
				free_table(below, level - 1);
		}
		if (level == TOP)
			return;
	} else {
		struct mm__table *table = memory;

		pthread_mutex_destroy(&table->lock);
	}
	free(memory);
}

void mm__page_table_destroy(struct mm__page_table *pt)
{
	free_table(&pt->top, TOP);
}

/*
 * Descends to the lowest table; where that stops, *level is the level of the table with the empty
 * entry.
 */
static struct mm__table *descend(struct mm__page_table *pt, uint64_t addr, unsigned int *level)
{
	void *table = &pt->top;

	for (*level = TOP; *level; --*level) {
		struct mm__upper_table *upper = table;

		/* acquire [T2]: pairs with [T1] */
		table = atomic_load_explicit(&upper->below[index_at(addr, *level)],
					     memory_order_acquire);
		if (!table)
			return NULL;
	}
	return table;
}

struct mm__table *mm__table_find(struct mm__page_table *pt, uint64_t addr)
{
	unsigned int level;

	return descend(pt, addr, &level);
}

struct mm__table *mm__table_next(struct mm__page_table *pt, uint64_t *addr, uint64_t end)
{
	while (*addr < end) {
		unsigned int level;
		struct mm__table *table = descend(pt, *addr, &level);

		if (table)
			return table;
		*addr = entry_end(*addr, level);
	}
	return NULL;
}

/* The table in an entry of a table of this level, made if there is none. NULL: no memory. */
static void *make_below(struct mm__page_table *pt, _Atomic(void *) *entry, unsigned int level)
{
	/* acquire [T2]: pairs with [T1] */
	void *below = atomic_load_explicit(entry, memory_order_acquire);
	void *made;

	if (below)
		return below;
	made = level > 1 ? new_upper_table() : new_table();
	if (!made)
		return NULL;
	/* release [T1] and, where another thread was faster, acquire [T2] */
	if (!atomic_compare_exchange_strong_explicit(entry, &below, made, memory_order_release,
						     memory_order_acquire)) {
		free_table(made, level - 1);
		return below;
	}
	mm__count_event(pt->frames, MM__TABLE_MADE);
	return made;
}

struct mm__table *mm__table_make(struct mm__page_table *pt, uint64_t addr)
{
	void *table = &pt->top;

	for (unsigned int level = TOP; level && table; level--) {
		struct mm__upper_table *upper = table;

		table = make_below(pt, &upper->below[index_at(addr, level)], level);
	}
	return table;
}

/*
 * Pages
 */

static uintptr_t load(_Atomic(uintptr_t) *entry)
{
	/* relaxed: the table's lock is held */
	return atomic_load_explicit(entry, memory_order_relaxed);
}

static void store(_Atomic(uintptr_t) *entry, uintptr_t value)
{
	/* relaxed: the table's lock is held, and who reads without it follows no pointer */
	atomic_store_explicit(entry, value, memory_order_relaxed);
}

static uintptr_t make_entry(void *frame, int prot)
{
	return (uintptr_t)frame | MM__PRESENT | (uintptr_t)mm__effective_prot(prot);
}

bool mm__page_install(struct mm__table *table, uint64_t addr, void *frame, int prot)
{
	_Atomic(uintptr_t) *entry = mm__table_entry(table, addr);
	bool empty;

	pthread_mutex_lock(&table->lock);
	empty = !load(entry);
	if (empty) {
		store(entry, make_entry(frame, prot));
		table->nr_present++;
	}
	pthread_mutex_unlock(&table->lock);
	return empty;
}

/* Takes an entry out. 0: there was none. The table's lock is held. */
static uintptr_t take(struct mm__table *table, uint64_t addr)
{
	_Atomic(uintptr_t) *entry = mm__table_entry(table, addr);
	uintptr_t value = load(entry);

	if (value) {
		store(entry, 0);
		table->nr_present--;
	}
	return value;
}

void mm__pages_zap(struct mm__page_table *pt, uint64_t start, uint64_t end)
{
	struct mm__frame_list list = { NULL, NULL, 0 };
	struct mm__table *table;

	while ((table = mm__table_next(pt, &start, end))) {
		uint64_t stop = min(end, entry_end(start, 1));

		pthread_mutex_lock(&table->lock);
		for (; start < stop && table->nr_present; start += MM_PAGE_SIZE) {
			uintptr_t entry = take(table, start);

			if (entry)
				mm__frame_list_add(&list, mm__entry_frame(entry));
		}
		pthread_mutex_unlock(&table->lock);
		mm__frame_list_free(pt->frames, &list);
		start = stop;
	}
}

void mm__pages_protect(struct mm__page_table *pt, uint64_t start, uint64_t end, int prot)
{
	struct mm__table *table;

	while ((table = mm__table_next(pt, &start, end))) {
		uint64_t stop = min(end, entry_end(start, 1));

		pthread_mutex_lock(&table->lock);
		for (; start < stop && table->nr_present; start += MM_PAGE_SIZE) {
			_Atomic(uintptr_t) *entry = mm__table_entry(table, start);

			if (load(entry))
				store(entry, make_entry(mm__entry_frame(load(entry)), prot));
		}
		pthread_mutex_unlock(&table->lock);
		start = stop;
	}
}

int mm__pages_prepare_move(struct mm__page_table *pt, uint64_t from, uint64_t to, uint64_t length)
{
	uint64_t end = from + length;

	for (uint64_t addr = from; mm__table_next(pt, &addr, end);) {
		uint64_t stop = min(end, entry_end(addr, 1));

		/* What one table covers may arrive in two. */
		if (!mm__table_make(pt, addr - from + to) ||
		    !mm__table_make(pt, stop - MM_PAGE_SIZE - from + to))
			return ENOMEM;
		addr = stop;
	}
	return 0;
}

/* Puts entries with the frames of others in for [addr, addr + n pages); their tables exist. */
static void put_entries(struct mm__page_table *pt, uint64_t addr, const uintptr_t *entries,
			unsigned int n, int prot)
{
	while (n) {
		struct mm__table *table = mm__table_find(pt, addr);
		uint64_t stop = min(addr + n * MM_PAGE_SIZE, entry_end(addr, 1));

		pthread_mutex_lock(&table->lock);
		for (; addr < stop; addr += MM_PAGE_SIZE, entries++, n--) {
			if (*entries) {
				store(mm__table_entry(table, addr),
				      make_entry(mm__entry_frame(*entries), prot));
				table->nr_present++;
			}
		}
		pthread_mutex_unlock(&table->lock);
	}
}

void mm__pages_move(struct mm__page_table *pt, uint64_t from, uint64_t to, uint64_t length,
		    int prot)
{
	uint64_t end = from + length;
	uintptr_t entries[MM__TABLE_ENTRIES];
	struct mm__table *table;

	for (uint64_t addr = from; (table = mm__table_next(pt, &addr, end));) {
		uint64_t stop = min(end, entry_end(addr, 1));
		uint64_t target = addr - from + to;
		uintptr_t any = 0;
		unsigned int n = 0;

		pthread_mutex_lock(&table->lock);
		for (; addr < stop; addr += MM_PAGE_SIZE, n++) {
			entries[n] = take(table, addr);
			any |= entries[n];
		}
		pthread_mutex_unlock(&table->lock);
		/*
		 * A table that a fault beside the range has made since mm__pages_prepare_move() has
		 * no target.
		 */
		if (any)
			put_entries(pt, target, entries, n, prot);
	}
}

static uint64_t count_below(struct mm__upper_table *upper, unsigned int level)
{
	uint64_t count = 1;

	for (unsigned int i = 0; i < MM__TABLE_ENTRIES; i++) {
		void *below = atomic_load_explicit(&upper->below[i], memory_order_relaxed);

		if (below)
			count += level > 1 ? count_below(below, level - 1) : 1;
	}
	return count;
}

uint64_t mm__page_table_count(struct mm__page_table *pt)
{
	return count_below(&pt->top, TOP);
}
