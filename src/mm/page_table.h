/* SPDX-License-Identifier: MIT */
/*
 * page_table - from addresses to frames: four levels of 512 entries, as on x86-64.
 *
 * An entry of a lowest table is 0, or the address of a frame with MM__PRESENT and the accesses that
 * it allows in the bits below the page size. It changes only under the lock of its table, and bytes
 * are copied only under that lock: so a frame that was taken out of its entry is nobody's any more.
 * The entries are atomic all the same, because a fault looks whether its page is present without
 * the lock.
 *
 * Tables are made on demand, are linked in with a compare-and-swap that needs no lock, and stay
 * until mm__page_table_destroy(), also when they are empty: there is nothing yet that would tell
 * when the last reader has left one.
 *
 * Lock order: nobody holds the locks of two tables at once. The locks of frames.h may be taken
 * under one.
 */
#ifndef MM_PAGE_TABLE_H
#define MM_PAGE_TABLE_H

#include "frames.h"

#include <mmrange/mm.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MM__TABLE_ENTRIES 512u
/* What a lowest table covers. */
#define MM__TABLE_SPAN (MM__TABLE_ENTRIES * MM_PAGE_SIZE)

#define MM__PRESENT ((uintptr_t)8) /* beside MM_PROT_READ, MM_PROT_WRITE, MM_PROT_EXEC */
#define MM__BITS    ((uintptr_t)MM_PAGE_SIZE - 1)

/* A lowest table. */
struct mm__table {
	pthread_mutex_t lock;
	unsigned int nr_present;
	_Atomic(uintptr_t) entry[MM__TABLE_ENTRIES];
};

/* A table above: of mm__table on the second level, else of mm__upper_table. */
struct mm__upper_table {
	_Atomic(void *) below[MM__TABLE_ENTRIES];
};

struct mm__page_table {
	struct mm__frames *frames; /* where the pages go, and the tables are counted */
	struct mm__upper_table top;
};

void mm__page_table_init(struct mm__page_table *pt, struct mm__frames *frames);

/* Frees the tables, not the frames. */
void mm__page_table_destroy(struct mm__page_table *pt);

/*
 * The accesses that a page of an area with this protection allows: on x86-64 whatever allows
 * something is readable.
 */
static inline int mm__effective_prot(int prot)
{
	return prot ? prot | MM_PROT_READ : 0;
}

/*
 * The lowest table of addr, which is below MM_ADDR_MAX; NULL: there is none. Neither waits nor
 * writes.
 */
struct mm__table *mm__table_find(struct mm__page_table *pt, uint64_t addr);

/* The same, but makes what is missing. NULL: no memory. */
struct mm__table *mm__table_make(struct mm__page_table *pt, uint64_t addr);

/*
 * The first lowest table that covers something of [*addr, end), with *addr moved up to it; NULL if
 * there is none. end is at most MM_ADDR_MAX.
 */
struct mm__table *mm__table_next(struct mm__page_table *pt, uint64_t *addr, uint64_t end);

static inline _Atomic(uintptr_t) *mm__table_entry(struct mm__table *table, uint64_t addr)
{
	return &table->entry[addr >> MM_PAGE_SHIFT & (MM__TABLE_ENTRIES - 1)];
}

static inline void *mm__entry_frame(uintptr_t entry)
{
	return (void *)(entry & ~MM__BITS);
}

/* Puts a frame in where there is none; says whether there was none. The table is that of addr. */
bool mm__page_install(struct mm__table *table, uint64_t addr, void *frame, int prot);

/* Takes all pages of [start, end) out, and frees them. */
void mm__pages_zap(struct mm__page_table *pt, uint64_t start, uint64_t end);

/* Makes the pages that are present in [start, end) allow what prot allows. */
void mm__pages_protect(struct mm__page_table *pt, uint64_t start, uint64_t end, int prot);

/*
 * Moves all pages of [from, from + length) to [to, to + length), where there are none, and lets
 * them allow what prot allows. The ranges do not overlap. prepare makes the tables that this needs,
 * so that it cannot fail: 0 or ENOMEM.
 */
int mm__pages_prepare_move(struct mm__page_table *pt, uint64_t from, uint64_t to, uint64_t length);
void mm__pages_move(struct mm__page_table *pt, uint64_t from, uint64_t to, uint64_t length,
		    int prot);

/* The number of tables, of all levels, by walking. At a quiet moment. */
uint64_t mm__page_table_count(struct mm__page_table *pt);

#endif
