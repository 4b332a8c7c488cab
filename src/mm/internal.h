/* SPDX-License-Identifier: MIT */
/*
 * What the files of src/mm share.
 *
 * Who takes what (the order of the columns is the order of locking):
 *
 *	operation                            range lock                     mm lock      table locks
 *	mmap, munmap, mprotect, mremap, brk  write, on what they change     tree change  each table's change
 *	madvise                              read, on its range             lookups      each table's change
 *	fault                                read, on its page              lookup       installing
 *	mm_read, mm_write                    - (unless they fault)          -            each page's copy
 *
 * A thread never waits for a range while it holds another one, the mm lock or a table's lock;
 * trying is allowed. (Holding one range and waiting for the next deadlocks even in address order:
 * the next may be blocked by a waiter that must not be passed any more, and that waits for the
 * first.) Nobody keeps a pointer to an area across a release of the mm lock: another operation may
 * merge it with a neighbour, outside of the range that is held.
 *
 * Invariants, while no operation holds a page for writing:
 *  - a present page lies in an area, and its entry allows exactly what mm__effective_prot() of that
 *    area does;
 *  - neighbouring areas that mm__area_continues() are one.
 * An operation changes the tree first, in one piece, as it may fail there, and the entries after
 * that, which cannot fail. In between, whoever wants to see the new state has to fault, and waits.
 */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include "area_tree.h"
#include "frames.h"
#include "page_table.h"

#include <mmrange/mm.h>
#include <mmrange/range_lock.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mm {
	/* Read-mostly. */
	struct mm_attr attr;
	struct mm__page_table page_table;

	_Alignas(128) pthread_mutex_t lock; /* the short mm lock: all up to the next comment */
	struct mm__area_tree areas;
	uint64_t brk;         /* the end of the heap, not rounded */
	uint64_t last_object; /* of the shared areas */

	/* For mm__hold only. */
	_Alignas(128) struct range_lock range_lock;
	_Alignas(128) pthread_rwlock_t rwlock;

	struct mm__frames frames;
};

/*
 * locking.c: which lock an operation takes.
 */

/*
 * What an operation holds. It covers [start, end), and other_start to other_end where that is not
 * empty.
 */
struct mm__hold {
	uint64_t start;
	uint64_t end;
	uint64_t other_start;
	uint64_t other_end;
	struct range range;
	struct range other;
};

/* 0, or ENOMEM. */
int mm__locking_init(struct mm *mm);
void mm__locking_destroy(struct mm *mm);

/* start < end. The caller holds nothing. */
void mm__hold_read(struct mm *mm, struct mm__hold *hold, uint64_t start, uint64_t end);
void mm__hold_write(struct mm *mm, struct mm__hold *hold, uint64_t start, uint64_t end);

/* Two ranges, which may overlap; the second may be empty. The caller holds nothing. */
void mm__hold_write_two(struct mm *mm, struct mm__hold *hold, uint64_t start, uint64_t end,
			uint64_t other_start, uint64_t other_end);

/* Does not wait for a range, so the caller may hold the mm lock. Says whether it is held. */
bool mm__hold_trywrite(struct mm *mm, struct mm__hold *hold, uint64_t start, uint64_t end);

/* Whether what is held covers [start, end). */
bool mm__hold_covers(const struct mm__hold *hold, uint64_t start, uint64_t end);

void mm__release(struct mm *mm, struct mm__hold *hold);

void mm__lock(struct mm *mm);
void mm__unlock(struct mm *mm);

/*
 * areas.c: what operations do to areas. All with the mm lock held.
 */

/*
 * Whether right goes on where left ends, and they are the same otherwise: then they are to be one.
 */
bool mm__area_continues(const struct mm__area *left, const struct mm__area *right);

/* The area that contains addr; NULL if there is none. */
const struct mm__area *mm__area_at(const struct mm *mm, uint64_t addr);

/* Whether nothing is mapped in [start, end). */
bool mm__range_free(const struct mm *mm, uint64_t start, uint64_t end);

/* Whether the areas may become so many more. */
bool mm__room_for_areas(const struct mm *mm, uint64_t more);

/*
 * How many more areas there are when [start, end) has been cut out: 1 if it is the middle of one,
 * else 0.
 */
unsigned int mm__cut_adds(const struct mm *mm, uint64_t start, uint64_t end);

/*
 * Makes sure that this many calls of mm__areas_cut() and mm__areas_put() together have memory. 0 or
 * ENOMEM.
 */
int mm__areas_reserve(struct mm *mm, unsigned int calls);

/*
 * Takes out what lies in [start, end), which leaves the rest of areas that stick out. Reserved
 * before.
 */
void mm__areas_cut(struct mm *mm, uint64_t start, uint64_t end);

/* Puts an area where there is none, merged with its neighbours. Reserved before. */
void mm__areas_put(struct mm *mm, const struct mm__area *area);

/* The part of an area in [start, end). */
struct mm__area mm__area_part(const struct mm__area *area, uint64_t start, uint64_t end);

/*
 * Odds and ends
 */

/* fault.c: mm_fault(), for an access that is valid. */
int mm__fault(struct mm *mm, uint64_t addr, int access, struct mm_siginfo *info);

/* Rounds up to pages; 0 when that wraps. */
static inline uint64_t mm__page_align(uint64_t length)
{
	return (length + MM_PAGE_SIZE - 1) & ~(MM_PAGE_SIZE - 1);
}

static inline uint64_t mm__page_start(uint64_t addr)
{
	return addr & ~(MM_PAGE_SIZE - 1);
}

static inline bool mm__page_aligned(uint64_t addr)
{
	return !(addr & (MM_PAGE_SIZE - 1));
}

static inline uint64_t mm__min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t mm__max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#define MM__PROT_ALL (MM_PROT_READ | MM_PROT_WRITE | MM_PROT_EXEC)

#endif
