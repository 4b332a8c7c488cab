/* SPDX-License-Identifier: MIT */
/*
 * page_table - from addresses to frames: four levels of 512 entries, as on x86-64.
 *
 * An entry of a lowest table is 0, or the address of a page's bytes with the accesses that it allows
 * below, and above the number of the thread that may have it in its TLB; one above is 0, or the address of
 * the table below. The bytes are those of a frame, to which the entry has a reference, or those of a page
 * of a file (MM__FILE), which stay as long as the VMA.
 *
 * Entries of a lowest table are locked each by itself (entry_lock.h), and while one is locked, only the
 * thread that has locked it stores to it. An entry that is not locked changes by a compare-and-swap. Those
 * of the tables above change under the lock of their table. All are read by any thread: with MM__BUSY, an
 * entry still says what it said before.
 *
 * Tables are found in an RCU read section, made on demand, and freed through RCU when they are
 * empty. A table above the lowest level has a count of its entries: under the locks of its parent and its
 * own, one without entries is marked dead and taken out of its parent; a thread that has found a table locks
 * it, and uses it only if it is not dead. A lowest table has no count, which all its users would write:
 *
 *	taking a table out, with its parent's lock       filling an empty entry
 *	[P1] dead = true                                 [P2] lock the entry
 *	     full fence                                       dead? unlock it and find a table anew
 *	     all entries 0? take it out                       store the entry
 *	     else dead = false
 *
 * The fence and the locking of the entry, both sequentially consistent, are a pair: either P1 finds the entry
 * locked or filled, or P2 finds the table dead. P1 waits for an empty entry that is locked, and takes
 * nothing out where one is filled. Invariants:
 *
 * - [PT-A] Once a table is taken out, its entries are 0, or locked for a moment by threads that leave them
 *   so. So no page is put into a table that no thread finds, and none is left in one.
 * - [PT-B] An entry other than 0 is in a table that is not taken out until the entry is 0: so only a thread
 *   that fills an empty entry looks whether the table is dead. A dead table may come back to life, if P1 finds
 *   an entry filled; with the parent's lock it is known which.
 * - [PT-C] A table with pins, which change with the parent's lock, is not marked dead.
 * - [PT-D] No table is freed while a thread looks at it.
 *
 * A table is looked at some time after a thread has taken a page out of it, and stays if it is not empty
 * then. [PT-E] So it is left to the thread that takes the last page out: of two threads that take out the last
 * two and pass a full fence each before they look, the later one finds it empty.
 *
 * Lock order: a table before those below it, and before entries.
 *
 * Ordering: a table is linked in with a release [T1], and found with an acquire [T2]: who finds it
 * sees it initialised.
 */
#ifndef MM_PAGE_TABLE_H
#define MM_PAGE_TABLE_H

#include "thread.h"
#include "entry_lock.h"
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
	_Atomic(bool) dead;
	/* Of a lowest table. */
	_Atomic(uint32_t) waiters; /* see entry_lock.h */
	_Atomic(uint32_t) filled;  /* the index of an entry that was filled when a thread last looked: a hint */
	unsigned int pins;         /* with the parent's lock: it stays, although it may be empty */
	/* Of one above. */
	unsigned int nr_used; /* entries other than 0 */
	struct mm__table_lock lock;
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

/* The accesses that a page of a VMA with this protection allows: what allows one, allows reading. */
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

/* An entry that is locked allows nothing: its page may be on the way out. */
static inline bool mm__entry_allows(uint64_t entry, int access)
{
	uint64_t needed = MM__PRESENT | (uint64_t)access;

	return (entry & (needed | MM__BUSY)) == needed;
}

/* Whether this thread may have the entry in its TLB. */
static inline bool mm__entry_is_for(uint64_t entry, uint32_t thread)
{
	uint32_t owner = mm__entry_owner(entry);

	return owner == thread || owner == MM__MANY_THREADS;
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
struct mm__table *mm__table_make(struct mm__page_table *pt, struct mm__thread *thread, uint64_t addr);

/*
 * The first lowest table that covers something of [*addr, end), with *addr moved up to it; NULL if
 * there is none. end is at most MM_ADDR_MAX. In an RCU read section.
 */
struct mm__table *mm__table_next(struct mm__page_table *pt, uint64_t *addr, uint64_t end);

/*
 * [P2] Whether the lowest table of an entry that the thread has locked, and that is empty, cannot be filled.
 */
static inline bool mm__table_dead(const struct mm__table *table)
{
	/* sequentially consistent: pairs with the fence of [P1], after the locking of the entry */
	return atomic_load_explicit(&table->dead, memory_order_seq_cst);
}

/* Waits until the lowest table of addr, which was found dead, has been taken out, or lives again. */
void mm__table_settle(struct mm__page_table *pt, uint64_t addr);

/*
 * Makes the lowest table of addr if need be, and lets it stay although it may be empty; and lets it go
 * again. 0 or ENOMEM. Not in an RCU read section.
 */
int mm__table_pin(struct mm__page_table *pt, struct mm__thread *thread, uint64_t addr);
void mm__table_unpin(struct mm__page_table *pt, struct mm__thread *thread, uint64_t addr);

/*
 * The thread has taken pages out of the lowest table of addr, which may be empty now. If it is, it is
 * freed, but not at once: the last few of each thread are kept, as they may be needed again at once. Not in
 * an RCU read section.
 */
void mm__table_emptied(struct mm__page_table *pt, struct mm__thread *thread, uint64_t addr);

/* Frees what is kept, as the thread ends. */
void mm__tables_unkept(struct mm__page_table *pt, struct mm__thread *thread);

static inline _Atomic(uint64_t) *mm__table_entry(struct mm__table *table, uint64_t addr)
{
	return &table->entry[addr >> MM_PAGE_SHIFT & (MM__TABLE_ENTRIES - 1)];
}

/* A hint, unless the thread has locked the entry, or no other thread may change it. With MM__BUSY. */
static inline uint64_t mm__entry_load(struct mm__table *table, uint64_t addr)
{
	/* acquire: pairs with the release of who stored it; who finds a frame finds its bytes */
	return atomic_load_explicit(mm__table_entry(table, addr), memory_order_acquire);
}

/* How many entries a cache line has. */
#define MM__LINE_ENTRIES 8u

/*
 * Whether all entries of the line that begins at entry i are 0, and so none is locked. False also if no line
 * begins there.
 */
static inline bool mm__entry_line_empty(struct mm__table *table, unsigned int i)
{
	uint64_t any = 0;

	if (i % MM__LINE_ENTRIES || i + MM__LINE_ENTRIES > MM__TABLE_ENTRIES)
		return false;
	for (unsigned int k = i; k < i + MM__LINE_ENTRIES; k++)
		/* relaxed: a fence before orders it, and nothing of an empty entry is used */
		any |= atomic_load_explicit(&table->entry[k], memory_order_relaxed);
	return !any;
}

/* Where no other thread uses the table. */
static inline void mm__entry_store(struct mm__table *table, uint64_t addr, uint64_t value)
{
	/* release: pairs with mm__entry_load() */
	atomic_store_explicit(mm__table_entry(table, addr), value, memory_order_release);
}

/* Stores value if the entry is seen, which is not locked. */
static inline bool mm__entry_replace(struct mm__table *table, uint64_t addr, uint64_t seen,
				     uint64_t value)
{
	if (!MM__LOCKING) {
		mm__entry_store(table, addr, value);
		return true;
	}
	/* release: as mm__entry_store(); acquire: as locking it */
	return atomic_compare_exchange_strong_explicit(mm__table_entry(table, addr), &seen, value,
						       memory_order_acq_rel, memory_order_relaxed);
}

/*
 * In an RCU read section, as its undoing: locks the entry if it is seen, which is not locked. Does not
 * wait. If seen is 0, see mm__table_dead().
 */
static inline bool mm__entry_trylock(struct mm__table *table, uint64_t addr, uint64_t seen)
{
	if (MM__LOCKING && !mm__entry_lock_try(mm__table_entry(table, addr), seen))
		return false;
	mm__order_take(MM__ORDER_TABLE, 0, addr);
	return MM__LOCKING || mm__entry_load(table, addr) == seen;
}

static inline void mm__entry_unlock(struct mm__table *table, uint64_t addr, uint64_t value)
{
	mm__order_drop(MM__ORDER_TABLE);
	if (MM__LOCKING)
		mm__entry_lock_drop(mm__table_entry(table, addr), &table->waiters, value);
	else
		mm__entry_store(table, addr, value);
}

/* In an RCU read section: waits while the entry is locked, and returns it. */
uint64_t mm__entry_wait(struct mm__table *table, uint64_t addr);

static inline uint64_t mm__entry_await(struct mm__table *table, uint64_t addr)
{
	uint64_t entry = mm__entry_load(table, addr);

	return entry & MM__BUSY ? mm__entry_wait(table, addr) : entry;
}

/*
 * Locks the entry, and returns what it is; or returns 0, and it is empty, and not locked. In an RCU read
 * section, as its undoing. Entries of one table in ascending order.
 */
static inline uint64_t mm__entry_lock(struct mm__table *table, uint64_t addr)
{
	uint64_t entry;

	do {
		entry = mm__entry_await(table, addr);
	} while (entry && !mm__entry_trylock(table, addr, entry));
	return entry;
}

/* The end of what the lowest table of addr covers. */
static inline uint64_t mm__table_end(uint64_t addr)
{
	return (addr | (MM__TABLE_SPAN - 1)) + 1;
}

/* The number of tables, of all levels, by walking. At a quiet moment. */
uint64_t mm__page_table_count(struct mm__page_table *pt);

/* Whether each table has as many entries as it counts, and none is dead, pinned or waited for. The same. */
bool mm__page_table_valid(struct mm__page_table *pt);

#endif
