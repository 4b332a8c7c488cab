/* SPDX-License-Identifier: MIT */
/*
 * page_table - from addresses to frames: four levels of 512 entries, as on x86-64.
 *
 * An entry of a lowest table is 0, or holds the address of a page's bytes, the accesses that the
 * entry allows (in the bits below), and the number of the thread that may have the entry in its TLB
 * (in the bits above). An entry of a higher table is 0, or the address of the table below. The
 * bytes belong to a frame, to which the entry has a reference, or to a page of a file (MM__FILE),
 * which stays as long as the VMA.
 *
 * Each entry of a lowest table has its own lock (entry_lock.h). While an entry is locked, only the
 * thread that has locked it stores to it. An unlocked entry changes by a compare-and-swap. Entries
 * of higher tables change under the lock of their table. Any thread may read any entry. A locked
 * entry (MM__BUSY) still has the contents that it had before.
 *
 * Threads find tables in an RCU read section, make them on demand, and free empty ones through RCU.
 * A higher table counts its entries. A thread that holds the lock of the table and the lock of its
 * parent marks the table dead if it has no entries, and takes it out of the parent. A thread that
 * has found a higher table locks it, and uses it only if it is not dead. A lowest table has no
 * count, because all its users would write it:
 *
 *	taking a table out, with its parent's lock     filling an empty entry
 *	[PT-P1] dead = true                            [PT-P2] lock the entry
 *	        full fence                                     dead? unlock it, find a table again
 *	        all entries 0? take the table out              store the entry
 *	        else dead = false
 *
 * P1's fence and P2's locking of the entry are both sequentially consistent, and are a pair: either
 * P1 finds the entry locked or filled, or P2 finds the table dead. P1 waits for an empty entry that
 * is locked, and keeps the table if an entry is filled. Invariants:
 *
 *	PT-A  Once a table is taken out, its entries are 0, or locked for a moment by threads that
 *	      leave them empty. So no page is put into a table that no thread finds, and no page is
 *	      left in one.
 *	PT-B  A table is taken out only after all its entries are 0. So only a thread that fills an
 *	      empty entry has to check whether the table is dead. P1 revives a dead table if it
 *	      finds an entry filled. A thread with the parent's lock never sees the undecided state.
 *	PT-C  A table with pins is not marked dead. Pins change under the parent's lock.
 *	PT-D  No table is freed while a thread looks at it.
 *	PT-E  A thread that has taken the last page out of a table is responsible for the table. If
 *	      two threads take out the last two pages, and each passes a full fence before it looks
 *	      at the table, the later one finds it empty.
 *
 * A thread looks at a table some time after it has taken a page out of it, and keeps the table if
 * it is not empty then. By PT-E, another thread is then responsible.
 *
 * Lock order: a table before those below it, and before entries.
 *
 * Ordering:
 *
 *	[PT-T1] a table is linked into its parent: release
 *	[PT-T2] a table is found: acquire. So the thread that finds it sees it initialised.
 */
#ifndef MM_PAGE_TABLE_H
#define MM_PAGE_TABLE_H

#include "entry_lock.h"
#include "lock.h"
#include "rcu.h"
#include "table_lock.h"
#include "thread.h"

#include <mmrange/mm.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MM__TABLE_ENTRIES 512u
/* Level 0 is the lowest. */
#define MM__TOP_LEVEL 3u
/* The size of the range that a lowest table covers. */
#define MM__TABLE_SPAN (MM__TABLE_ENTRIES * MM_PAGE_SIZE)

struct mm__table {
	struct mm__garbage garbage;
	/* All users of a lowest table read these two, and seldom write them. */
	_Atomic(bool) dead;
	_Atomic(uint32_t) waiters; /* of a lowest table, see entry_lock.h */
	/* Of a higher table. */
	unsigned int nr_used; /* entries other than 0 */
	struct mm__table_lock lock;
	/* Of a lowest table. While pins, which the parent's lock guards, is not 0, the table stays.
	 */
	_Alignas(64) unsigned int pins;
	_Atomic(uint32_t) filled; /* a hint: this entry was filled when a thread last looked */
	_Alignas(64) _Atomic(uint64_t) entry[MM__TABLE_ENTRIES];
};

struct mm__page_table {
	struct mm__table top;
};

/*
 * Bits beside MM_PROT_READ, MM_PROT_WRITE and MM_PROT_EXEC. MM__PRESENT: there is a page. MM__FILE:
 * it is a page of a file, and has no frame. MM__COPY: it is a private copy of such a page, and may
 * be used only while the file has that page.
 */
#define MM__PRESENT     UINT64_C(8)
#define MM__FILE        UINT64_C(16)
#define MM__COPY        UINT64_C(32)
#define MM__PROT_BITS   UINT64_C(7)
#define MM__OWNER_SHIFT 48
#define MM__FRAME_BITS  (((UINT64_C(1) << MM__OWNER_SHIFT) - 1) & ~(MM_PAGE_SIZE - 1))

/*
 * The accesses that a page of a VMA with this protection allows: each protection but none allows
 * reading.
 */
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

/* A locked entry allows no access, because its page may be on the way out. */
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
/* Frees the tables, but not the frames. */
void mm__page_table_destroy(struct mm__page_table *pt);

static inline struct mm__table *mm__table_below(struct mm__table *table, uint64_t addr,
						unsigned int level)
{
	unsigned int shift = MM_PAGE_SHIFT + 9 * level;

	/* acquire [PT-T2]: pairs with [PT-T1] */
	return (void *)(uintptr_t)atomic_load_explicit(
		&table->entry[addr >> shift & (MM__TABLE_ENTRIES - 1)], memory_order_acquire);
}

/*
 * The lowest table of addr, which is below MM_ADDR_MAX; NULL: there is none. In an RCU read
 * section. Neither waits nor writes.
 */
static inline struct mm__table *mm__table_find(struct mm__page_table *pt, uint64_t addr)
{
	struct mm__table *table = mm__table_below(&pt->top, addr, MM__TOP_LEVEL);

	/* Without a loop: with constant levels, the code has half as many instructions. */
	_Static_assert(MM__TOP_LEVEL == 3, "two levels lie between");
	table = table ? mm__table_below(table, addr, 2) : NULL;
	return table ? mm__table_below(table, addr, 1) : NULL;
}

/* The same, but makes the tables that are missing. NULL: no memory. */
struct mm__table *mm__table_make(struct mm__page_table *pt, struct mm__thread *thread,
				 uint64_t addr);

/*
 * The first lowest table that overlaps [*addr, end); NULL: there is none. Moves *addr up to the
 * first address in that table. end is at most MM_ADDR_MAX. In an RCU read section.
 */
struct mm__table *mm__table_next(struct mm__page_table *pt, uint64_t *addr, uint64_t end);

/*
 * Whether this lowest table is dead, so that a thread that has locked an empty entry of it must not
 * fill the entry: see [PT-P2].
 */
static inline bool mm__table_dead(const struct mm__table *table)
{
	/*
	 * sequentially consistent: after the locking of the entry; pairs with the fence of [PT-P1]
	 */
	return atomic_load_explicit(&table->dead, memory_order_seq_cst);
}

/*
 * The caller has found the lowest table of addr dead. Waits until another thread has taken it out,
 * or has found that it is in use.
 */
void mm__table_await_removal(struct mm__page_table *pt, uint64_t addr);

/*
 * Pinning makes the lowest table of addr if there is none, and keeps it even while it is empty.
 * Unpinning ends that. 0 or ENOMEM. Not in an RCU read section.
 */
int mm__table_pin(struct mm__page_table *pt, struct mm__thread *thread, uint64_t addr);
void mm__table_unpin(struct mm__page_table *pt, struct mm__thread *thread, uint64_t addr);

/*
 * The thread has taken pages out of the lowest table of addr. If the table is empty, it is freed,
 * but not at once: each thread keeps the last few, because it may need them again soon. Not in an
 * RCU read section.
 */
void mm__table_emptied(struct mm__page_table *pt, struct mm__thread *thread, uint64_t addr);

/* For a thread that ends: frees those of its kept tables that are empty. */
void mm__tables_unkept(struct mm__page_table *pt, struct mm__thread *thread);

static inline _Atomic(uint64_t) *mm__table_entry(struct mm__table *table, uint64_t addr)
{
	return &table->entry[addr >> MM_PAGE_SHIFT & (MM__TABLE_ENTRIES - 1)];
}

/*
 * The entry, with MM__BUSY if it is locked. It may have changed by the time of return, unless the
 * thread has locked the entry or no other thread may change it.
 */
static inline uint64_t mm__entry_load(struct mm__table *table, uint64_t addr)
{
	/*
	 * acquire: pairs with the release of the thread that stored the entry. So a thread that
	 * finds a frame finds its bytes.
	 */
	return atomic_load_explicit(mm__table_entry(table, addr), memory_order_acquire);
}

/* How many entries a cache line has. */
#define MM__LINE_ENTRIES 8u

/*
 * Whether all entries of the line that begins at entry i are 0, and so none is locked. False also
 * if no line begins there.
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

/* Requires that no other thread uses the table. */
static inline void mm__entry_store(struct mm__table *table, uint64_t addr, uint64_t value)
{
	/* release: pairs with mm__entry_load() */
	atomic_store_explicit(mm__table_entry(table, addr), value, memory_order_release);
}

/* Stores value if the entry is equal to seen. seen is an unlocked entry. */
static inline bool mm__entry_replace(struct mm__table *table, uint64_t addr, uint64_t seen,
				     uint64_t value)
{
	return mm__entry_lock_replace(mm__table_entry(table, addr), seen, value);
}

/*
 * Locks the entry if it is equal to seen, which is an unlocked entry. Does not wait. If seen is 0,
 * see mm__table_dead(). Locking and unlocking are in one RCU read section.
 */
static inline bool mm__entry_trylock(struct mm__table *table, uint64_t addr, uint64_t seen)
{
	if (!mm__entry_lock_try(mm__table_entry(table, addr), seen))
		return false;
	mm__order_take(MM__ORDER_TABLE, 0, addr);
	return true;
}

static inline void mm__entry_unlock(struct mm__table *table, uint64_t addr, uint64_t value)
{
	mm__order_drop(MM__ORDER_TABLE);
	mm__entry_lock_drop(mm__table_entry(table, addr), &table->waiters, value);
}

/* Waits while the entry is locked, and returns it. In an RCU read section. */
uint64_t mm__entry_wait(struct mm__table *table, uint64_t addr);

static inline uint64_t mm__entry_await(struct mm__table *table, uint64_t addr)
{
	uint64_t entry = mm__entry_load(table, addr);

	return entry & MM__BUSY ? mm__entry_wait(table, addr) : entry;
}

/*
 * Locks the entry and returns it. If the entry is empty, returns 0 and does not lock it. Locking
 * and unlocking are in one RCU read section. A thread locks the entries of one table in ascending
 * order.
 */
static inline uint64_t mm__entry_lock(struct mm__table *table, uint64_t addr)
{
	uint64_t entry;

	do {
		entry = mm__entry_await(table, addr);
	} while (entry && !mm__entry_trylock(table, addr, entry));
	return entry;
}

/* The end of the range that the lowest table of addr covers. */
static inline uint64_t mm__table_end(uint64_t addr)
{
	return (addr | (MM__TABLE_SPAN - 1)) + 1;
}

/* The number of tables of all levels, by walking them. At a quiet moment. */
uint64_t mm__page_table_count(struct mm__page_table *pt);

/*
 * Whether each table counts its entries right, and none is dead, pinned or waited for. At a quiet
 * moment.
 */
bool mm__page_table_valid(struct mm__page_table *pt);

#endif
