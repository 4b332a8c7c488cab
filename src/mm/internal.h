/* SPDX-License-Identifier: MIT */
/*
 * The address space inside. Where to read: area_tree.h (which areas there are), area.h (an area and
 * its sequence count), page_table.h and pages.h (which frames they have), frames.h (the memory),
 * cpu.h (what each thread has of its own), fault.c (how the first three come together), then one
 * file per operation.
 *
 * Three locks, in this order; see lock.h for all:
 *
 * - the range of what an operation is about, for as long as it takes (locking.c);
 * - the mm lock, held only while areas or the heap's end are changed: nobody waits for anything with
 *   it. No pointer to an area is kept across its release, since merging may replace an area that
 *   lies beside the range one holds;
 * - the lock of one page table.
 *
 * Faults look areas up in an RCU read section, with neither of the first two.
 *
 * What is to be changed under the mm lock is prepared before, so that nothing fails half-way: an
 * operation that fails has changed nothing, unless it says so.
 */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include "../platform/copy.h"
#include "area.h"
#include "area_tree.h"
#include "cpu.h"
#include "frames.h"
#include "inode.h"
#include "lock.h"
#include "page_table.h"
#include "pages.h"
#include "rcu.h"

#include <mmrange/mm.h>
#include <mmrange/range_lock.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mm {
	/* Only read. */
	struct mm_attr attr;
	uint64_t id;
	const void *copy; /* of the library, that made it */
	bool forked;
	struct mm__frames *frames;

	struct mm__page_table page_table;

	_Alignas(128) pthread_mutex_t lock; /* the mm lock: all up to the next comment */
	uint64_t lock_taken;                /* when, in nanoseconds */
	struct mm__area *spare_areas;
	_Atomic(unsigned int) nr_spare_areas;
	_Atomic(unsigned int) reserved_areas; /* the sum of all budgets; at most nr_spare_areas */
	struct mm__garbage *dead_areas;
	uint64_t brk;               /* the end of the heap, not rounded */
	struct mm__area_tree areas; /* faults read it without the lock */

	/* For locking.c only. */
	_Alignas(128) struct range_lock range_lock;
	_Alignas(128) pthread_rwlock_t rwlock;

	struct mm__cpus cpus;
	struct mm__cpu *own_cpu; /* of no thread, for those who have the space to themselves */
};

/* mm.c: with a pool of frames that is the new space's from then on, if that succeeds. */
int mm__create(struct mm **result, const struct mm_attr *attr, struct mm__frames *frames);

/*
 * Stops if the space is of another copy of the library, which knows neither the calling thread as a
 * reader of RCU nor its TLB. For what does not need the thread's cpu: mm__cpu_attach() looks, too.
 */
static inline void mm__check_copy(const struct mm *mm)
{
	if (mm->copy != &mmrange__copy)
		mmrange__copy_stop("address space", mm, mm->copy);
}

/* The calling thread's cpu. NULL: no memory, or too many threads. */
static inline struct mm__cpu *mm__this_cpu(struct mm *mm)
{
	return mm__cpu(mm, mm->id);
}

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
	bool nested; /* by the thread, with mm_lock_range() */
	bool other_nested;
	struct range_hold range;
	struct range_hold other;
};

/* 0, or ENOMEM. */
int mm__locking_init(struct mm *mm);
void mm__locking_destroy(struct mm *mm);

/*
 * start < end. The caller holds nothing but what it has from mm_lock_range(): 0, or EDEADLK where it
 * would wait for itself.
 */
int mm__hold_read(struct mm__cpu *cpu, struct mm__hold *hold, uint64_t start, uint64_t end);
int mm__hold_write(struct mm__cpu *cpu, struct mm__hold *hold, uint64_t start, uint64_t end);

/* Two ranges, which may overlap; the second may be empty. */
int mm__hold_write_two(struct mm__cpu *cpu, struct mm__hold *hold, uint64_t start, uint64_t end,
		       uint64_t other_start, uint64_t other_end);

/* Does not wait, so the caller may hold the mm lock. 0, EBUSY or EDEADLK. */
int mm__hold_trywrite(struct mm__cpu *cpu, struct mm__hold *hold, uint64_t start, uint64_t end);

/* Whether what is held covers [start, end). */
bool mm__hold_covers(const struct mm__hold *hold, uint64_t start, uint64_t end);

void mm__release(struct mm__cpu *cpu, struct mm__hold *hold);

/*
 * The mm lock. What was replaced under it is freed after it is dropped. prepared: after memory was
 * got for so many cuts, a put and a settle, so that mm__areas_reserve() need not get it under the lock.
 */
void mm__lock(struct mm *mm);
void mm__lock_prepared_for(struct mm *mm, unsigned int cuts);
static inline void mm__lock_prepared(struct mm *mm)
{
	mm__lock_prepared_for(mm, 1);
}
/* cpu counts how long it was held; NULL: it is not counted. */
void mm__unlock(struct mm *mm, struct mm__cpu *cpu);
/*
 * The same, but returns what areas were taken out, for mm__areas_free() once no thread can use their
 * pages any more: with the last of them a file is not mapped any more.
 */
struct mm__garbage *mm__unlock_removed(struct mm *mm, struct mm__cpu *cpu);

/* The same, and returns what nodes were replaced, too, which the caller frees or uses again. */
struct mm__garbage *mm__unlock_keeping(struct mm *mm, struct mm__cpu *cpu,
				       struct mm__garbage **nodes);

/* stats.c: which hold_times[] of struct mm_stats counts so many nanoseconds. */
unsigned int mm__hold_time_index(uint64_t ns);

/*
 * areas.c: what operations do to areas. All with the mm lock held.
 */

/* What a new area is to be like. */
struct mm__area_kind {
	int prot;
	int flags;
	struct mm__inode *inode;
	uint64_t offset; /* of address 0 */
};

/* The flags that tell areas apart. */
#define MM__AREA_FLAGS                                                                             \
	(MM_MAP_SHARED | MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_GROWSDOWN | MM_MAP_NORESERVE | \
	 MM_MAP_STACK)
/* Beside those: mm_mlock(), and what mm_mprotect() cannot make writable, or executable, as its file is. */
#define MM__AREA_LOCKED   (1 << 30)
#define MM__AREA_NO_WRITE (1 << 29)
#define MM__AREA_NO_EXEC  (1 << 28)

struct mm__area_kind mm__kind_of(const struct mm__area *area);
bool mm__same_kind(const struct mm__area *area, const struct mm__area_kind *kind);

/* Whether right goes on where left ends, and they are the same otherwise: then they are to be one. */
bool mm__areas_continue(const struct mm__mapping *left, const struct mm__mapping *right);

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
 * What an operation may still use of the space's spare nodes and areas. The operation reserves once,
 * for the sum of all that it will do, before it changes anything; then none of it can fail. No other
 * operation uses what is reserved, even when the mm lock is dropped before the end.
 */
struct mm__budget {
	struct mm__area_budget nodes;
	unsigned int areas;
};

/*
 * For so many cuts, and mm__areas_put...(), before the mm lock is dropped, and so many
 * mm__areas_settle() after that. 0; or ENOMEM, and nothing is reserved.
 */
int mm__areas_reserve(struct mm *mm, struct mm__budget *budget, unsigned int cuts,
		      unsigned int puts, unsigned int settles);

/*
 * For mm__areas_change(): locks, and reserves for the two areas that may stick out of the range, of which
 * the first is cut before the lock is dropped, and for a merge. 0 or ENOMEM; the mm lock is held anyway.
 */
int mm__lock_and_reserve_change(struct mm *mm, struct mm__budget *budget);

/*
 * Locks, after a merge, with as much reserved as before it: for the next one, and if may_split for the
 * last area to be cut. retired: the nodes that the merge has replaced. Where there is no memory it waits
 * until these can be used again, so it cannot fail.
 */
void mm__lock_refilled(struct mm *mm, struct mm__budget *budget, bool may_split,
		       struct mm__garbage *retired);

/* For areas.c: the memory of an area, of what was reserved; and, at the end of the space, of all spares. */
struct mm__area *mm__spare_area_take(struct mm *mm, struct mm__budget *budget);
void mm__spare_areas_free(struct mm *mm);

/* Whether some operation has reserved something that it has not used. */
bool mm__areas_reserved(const struct mm *mm);

/* Lets others have what the operation has not used. With the mm lock, as all of these. */
void mm__areas_release(struct mm *mm, struct mm__budget *budget);

/*
 * A range that is to be cut out. Any number of areas may lie there, and the mm lock is to be held for
 * a short time only. So the count of each area that lies inside, with something of the range on both
 * sides, is made odd first: some of them each time that the lock is held. No other thread changes
 * such an area, or merges it, because the operation holds the range for writing. Then one step cuts
 * out all.
 *
 * Until then nothing has changed but for faults, which wait for the range: mm__areas_keep() undoes it.
 */
struct mm__cut {
	uint64_t start;
	uint64_t end;
	uint64_t next;             /* the areas that begin below have been seen */
	uint64_t count;            /* of the areas whose counts are odd, .. */
	struct mm__garbage *first; /* .. which are listed */
	struct mm__garbage *last;
};

/* How many areas are looked at before the mm lock is dropped for a moment. */
#define MM__AREAS_AT_ONCE 32u

static inline struct mm__cut mm__cut_of(uint64_t start, uint64_t end)
{
	return (struct mm__cut){ .start = start, .end = end, .next = start };
}

/* Makes more counts odd. True: there are no more. With the mm lock. */
bool mm__areas_mark(struct mm *mm, struct mm__cut *cut);

/*
 * The same for all. It is called with the mm lock, and may drop it and take it again.
 */
void mm__areas_mark_all(struct mm__cpu *cpu, struct mm__cut *cut);

/* The areas stay after all. Needs no lock but the range. */
void mm__areas_keep(struct mm__cut *cut);

/*
 * Takes out what lies in the range, which leaves the rest of areas that stick out. All areas inside
 * have been marked. Reserved. With the mm lock.
 */
void mm__areas_cut(struct mm *mm, struct mm__budget *budget, struct mm__cut *cut);

/*
 * Reserves, and cuts. 0; or ENOMEM: an area would have to be split and there are too many, or there is
 * no memory; then all areas stay.
 */
int mm__areas_remove(struct mm *mm, struct mm__cut *cut);

/* Cuts a part of one area out. Reserved. */
void mm__areas_cut_one(struct mm *mm, struct mm__budget *budget, uint64_t start, uint64_t end);

/* Puts an area where there is none, merged with its neighbours, or apart from them. Reserved. */
void mm__areas_put_apart(struct mm *mm, struct mm__budget *budget, uint64_t start, uint64_t end,
			 const struct mm__area_kind *kind);
void mm__areas_put(struct mm *mm, struct mm__budget *budget, uint64_t start, uint64_t end,
		   const struct mm__area_kind *kind);

/*
 * The same, but the area counts as being changed until mm__areas_settle() merges it. The caller holds
 * its range for writing until then. Reserved.
 */
void mm__areas_put_changing(struct mm *mm, struct mm__budget *budget, uint64_t start, uint64_t end,
			    const struct mm__area_kind *kind);
void mm__areas_settle(struct mm *mm, struct mm__budget *budget, uint64_t start);

/*
 * Settles areas in [*addr, end), where there is no hole, and moves *addr over them: some, and no more
 * after the first merge, for which is reserved. True: that was all.
 */
bool mm__areas_settle_some(struct mm *mm, struct mm__budget *budget, uint64_t *addr, uint64_t end,
			   bool *merged);

/*
 * areas_change.c: makes what lies in [start, end) another kind, area by area up to the first error: of
 * change(), which changes protection and MM__AREA_LOCKED only, or ENOMEM where there is a hole, or an
 * area would have to be split and there are too many. ENOMEM for want of memory comes before anything
 * has changed. The caller holds the range for writing. Pages come to allow no more than their areas, and
 * those of locked areas that become writable are copied.
 */
int mm__areas_change(struct mm__cpu *cpu, uint64_t start, uint64_t end,
		     int (*change)(struct mm__area_kind *kind, int how), int how);

/*
 * Gives back what areas hold that were taken out, and frees them when no fault can look at them any
 * more. No lock is held but ranges.
 */
void mm__areas_free(struct mm__garbage *list);

/* Ends all areas, when nobody uses mm any more; unshared: nor any other space with its pool. */
void mm__areas_destroy(struct mm *mm, bool unshared);

/*
 * stack.c. All with the mm lock held.
 */

/* Whether [start, end) is free, and no stack above would lose its gap. */
bool mm__place_free(const struct mm *mm, uint64_t start, uint64_t end);

/*
 * A place of that length, in *addr; false: there is none. The highest, if the gaps of all stacks above
 * are kept; otherwise the lowest that keeps that of the next area.
 */
bool mm__find_place(const struct mm *mm, uint64_t length, uint64_t *addr);

/* Whether the page is not mapped, and a stack above it, *stack, may grow down to it. */
bool mm__stack_may_grow(const struct mm *mm, uint64_t page, struct mm__mapping *stack);

/* Grows the stack down to the page, if it may. 0 or ENOMEM. */
int mm__stack_grow(struct mm *mm, uint64_t page);

/*
 * fault.c: mm_fault() for an access that is valid.
 */
int mm__fault(struct mm__cpu *cpu, uint64_t addr, int access, struct mm_siginfo *info);

/*
 * The same for what is not in the TLB of the thread: looks into the page table first, and puts what
 * was found, or came of the fault, into the TLB. It may be gone again at once.
 */
int mm__tlb_fill(struct mm__cpu *cpu, uint64_t addr, int access, struct mm_siginfo *info);

/*
 * An access by this entry, in the TLB of the thread, has found that the file does not have the page any
 * more. Says so in *info, and returns EFAULT. If the page was a private copy, that is gone.
 */
int mm__file_ended(struct mm__cpu *cpu, uint64_t addr, uint64_t entry, struct mm_siginfo *info);

/* Makes the pages of [start, end) present, until one fails. */
int mm__populate(struct mm__cpu *cpu, uint64_t start, uint64_t end, int access);

/* The same for an operation that holds the range for writing; no stack grows. */
void mm__populate_held(struct mm__cpu *cpu, uint64_t start, uint64_t end, int access);

/*
 * mlock.c: makes the pages of locked areas in [start, end) present, as far as they are mapped. 0;
 * ENOMEM where that is an error of the area; EAGAIN where there is no memory.
 */
int mm__populate_locked(struct mm__cpu *cpu, uint64_t start, uint64_t end);

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
