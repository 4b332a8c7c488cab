/* SPDX-License-Identifier: MIT */
/*
 * page_table - from addresses to frames: four levels of 512 entries, as on x86-64.
 *
 * An entry of a lowest table is 0, or the address of a page's bytes with the accesses that it allows
 * below, and above the number of the cpu that may have it in its TLB; one above is 0, or the address of
 * the table below. Entries change only under the lock of their table, and are read by anybody. The
 * bytes are those of a frame, to which the entry has a reference, or those of a page of a file
 * (MM__FILE), which stay as long as the area.
 *
 * Tables are found in an RCU read section, made on demand, and freed through RCU when they are
 * empty: [P1] under the locks of its parent and its own, a table that has no entries and no pins is
 * marked dead and taken out of its parent. [P2] Whoever has found a table locks it, and uses it only
 * if it is not dead. So nothing is ever put into a table that nobody finds any more, and no table is
 * freed while somebody looks at it.
 *
 * Lock order: a table before those below it.
 *
 * Ordering: a table is linked in with a release [T1], and found with an acquire [T2]: who finds it
 * sees it initialised.
 */
#ifndef MM_PAGE_TABLE_H
#define MM_PAGE_TABLE_H

#include "cpu.h"
#include "lock.h"
#include "rcu.h"
#include "table_lock.h"

#include <mmrange/mm.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MM__TABLE_ENTRIES 512u
/* The lowest is level 0. */
#define MM__TOP_LEVEL 3u
/* What a lowest table covers. */
#define MM__TABLE_SPAN (MM__TABLE_ENTRIES * MM_PAGE_SIZE)

struct mm__table {
	struct mm__garbage garbage;
	struct mm__table_lock lock; /* all that follows */
	bool dead;
	unsigned int nr_used; /* entries other than 0 */
	unsigned int pins;    /* it stays, although it may be empty */
	_Alignas(64) _Atomic(uint64_t) entry[MM__TABLE_ENTRIES];
};

struct mm__page_table {
	struct mm__table top;
};

/*
 * Beside MM_PROT_READ, MM_PROT_WRITE and MM_PROT_EXEC: there is a page; it is one of a file, and has
 * no frame; it is a private copy of such a page, and to be used only while the file has that page.
 */
#define MM__PRESENT     UINT64_C(8)
#define MM__FILE        UINT64_C(16)
#define MM__COPY        UINT64_C(32)
#define MM__PROT_BITS   UINT64_C(7)
#define MM__OWNER_SHIFT 48
#define MM__FRAME_BITS  (((UINT64_C(1) << MM__OWNER_SHIFT) - 1) & ~(MM_PAGE_SIZE - 1))

/* The accesses that a page of an area with this protection allows: what allows one, allows reading. */
static inline int mm__effective_prot(int prot)
{
	return prot ? prot | MM_PROT_READ : 0;
}

/* kind is 0, MM__FILE or MM__COPY. */
static inline uint64_t mm__entry_of(const void *bytes, uint64_t kind, int prot, uint32_t owner)
{
	return (uint64_t)(uintptr_t)bytes | MM__PRESENT | kind | (uint64_t)prot |
	       (uint64_t)owner << MM__OWNER_SHIFT;
}

static inline uint64_t mm__entry(const struct mm__frame *frame, int prot, uint32_t owner)
{
	return mm__entry_of(mm__frame_bytes(frame), 0, prot, owner);
}

static inline void *mm__entry_bytes(uint64_t entry)
{
	return (void *)(uintptr_t)(entry & MM__FRAME_BITS);
}

/* Of an entry without MM__FILE. */
static inline struct mm__frame *mm__entry_frame(uint64_t entry)
{
	return mm__frame_of(mm__entry_bytes(entry));
}

static inline uint32_t mm__entry_owner(uint64_t entry)
{
	return (uint32_t)(entry >> MM__OWNER_SHIFT);
}

static inline uint64_t mm__entry_with_owner(uint64_t entry, uint32_t owner)
{
	return (entry & ((UINT64_C(1) << MM__OWNER_SHIFT) - 1)) | (uint64_t)owner
									  << MM__OWNER_SHIFT;
}

static inline bool mm__entry_allows(uint64_t entry, int access)
{
	uint64_t needed = MM__PRESENT | (uint64_t)access;

	return (entry & needed) == needed;
}

/* Whether this cpu may have the entry in its TLB. */
static inline bool mm__entry_is_for(uint64_t entry, uint32_t cpu)
{
	uint32_t owner = mm__entry_owner(entry);

	return owner == cpu || owner == MM__CPU_MANY;
}

void mm__page_table_init(struct mm__page_table *pt);
/* Frees the tables, not the frames. */
void mm__page_table_destroy(struct mm__page_table *pt);

static inline struct mm__table *mm__table_below(struct mm__table *table, uint64_t addr,
						unsigned int level)
{
	unsigned int shift = MM_PAGE_SHIFT + 9 * level;

	/* acquire [T2]: pairs with [T1] */
	return (void *)(uintptr_t)atomic_load_explicit(
		&table->entry[addr >> shift & (MM__TABLE_ENTRIES - 1)], memory_order_acquire);
}

/*
 * The lowest table of addr, which is below MM_ADDR_MAX; NULL: there is none. In an RCU read section.
 * Neither waits nor writes.
 */
static inline struct mm__table *mm__table_find(struct mm__page_table *pt, uint64_t addr)
{
	struct mm__table *table = mm__table_below(&pt->top, addr, MM__TOP_LEVEL);

	/* No loop: with constants for the levels it takes half as many instructions. */
	_Static_assert(MM__TOP_LEVEL == 3, "two levels lie between");
	table = table ? mm__table_below(table, addr, 2) : NULL;
	return table ? mm__table_below(table, addr, 1) : NULL;
}

/* The same, but makes what is missing. NULL: no memory. */
struct mm__table *mm__table_make(struct mm__page_table *pt, struct mm__cpu *cpu, uint64_t addr);

/*
 * The first lowest table that covers something of [*addr, end), with *addr moved up to it; NULL if
 * there is none. end is at most MM_ADDR_MAX. In an RCU read section.
 */
struct mm__table *mm__table_next(struct mm__page_table *pt, uint64_t *addr, uint64_t end);

static inline void mm__table_unlock(struct mm__table *table)
{
	if (MM__LOCKING)
		mm__table_lock_drop(&table->lock);
	mm__order_drop(MM__ORDER_TABLE);
}

/* In an RCU read section, as its undoing. [P2]: false, and not locked, if the table is dead. */
static inline bool mm__table_lock(struct mm__table *table, uint64_t addr)
{
	mm__order_take(MM__ORDER_TABLE, 0, addr & ~(MM__TABLE_SPAN - 1));
	if (MM__LOCKING)
		mm__table_lock_take(&table->lock);
	if (!table->dead)
		return true;
	mm__table_unlock(table);
	return false;
}

/*
 * The lowest table of addr has become empty. It is freed, but not at once: the last few of each
 * thread are kept, as they may be needed again at once. Not in an RCU read section.
 */
void mm__table_emptied(struct mm__page_table *pt, struct mm__cpu *cpu, uint64_t addr);

/* Frees what is kept, as the thread ends. */
void mm__tables_unkept(struct mm__page_table *pt, struct mm__cpu *cpu);

static inline _Atomic(uint64_t) *mm__table_entry(struct mm__table *table, uint64_t addr)
{
	return &table->entry[addr >> MM_PAGE_SHIFT & (MM__TABLE_ENTRIES - 1)];
}

/* Without the lock it is a hint; with it, the truth. */
static inline uint64_t mm__entry_load(struct mm__table *table, uint64_t addr)
{
	/* acquire: pairs with mm__entry_store(); who finds a frame finds its bytes */
	return atomic_load_explicit(mm__table_entry(table, addr), memory_order_acquire);
}

/* With the lock. Counts the entry if it becomes one, or is none any more. */
static inline void mm__entry_store(struct mm__table *table, uint64_t addr, uint64_t value)
{
	_Atomic(uint64_t) *entry = mm__table_entry(table, addr);
	/* relaxed: it changes under the lock only */
	uint64_t old = atomic_load_explicit(entry, memory_order_relaxed);

	table->nr_used += (unsigned int)(value != 0) - (unsigned int)(old != 0);
	/* release: pairs with mm__entry_load() */
	atomic_store_explicit(entry, value, memory_order_release);
}

/* The end of what the lowest table of addr covers. */
static inline uint64_t mm__table_end(uint64_t addr)
{
	return (addr | (MM__TABLE_SPAN - 1)) + 1;
}

/* The number of tables, of all levels, by walking. At a quiet moment. */
uint64_t mm__page_table_count(struct mm__page_table *pt);

#endif
