/* SPDX-License-Identifier: MIT */
/*
 * The address space inside. Where to read: vma_tree.h (the VMAs of a space), vma.h (a VMA and its
 * sequence count), page_table.h and pages.h (the frames of pages), frames.h (the memory), thread.h
 * (the state of each thread), fault.c (how a fault uses the VMAs, the page table and the frames),
 * then one file per operation.
 *
 * Four locks, in this order; see lock.h for all:
 *
 * - the range that an operation works on, for as long as the operation takes (locking.c);
 * - the VMA tree lock, only while the shape of the VMA tree changes, or while a thread looks for a
 *   place. A thread that holds it waits for nothing;
 * - the lock of a border node of the VMA tree, while mappings in it change (edit.c);
 * - the lock of one entry of a page table, or of one table above the lowest level.
 *
 * An operation changes VMAs in place, with the lock of one border node, where it can, and with the
 * VMA tree lock elsewhere. It keeps no pointer to a VMA across the end of an edit, because a merge
 * may replace a VMA that lies beside the range that the operation holds. A fault looks VMAs up in
 * an RCU read section, with none of the first three locks.
 *
 * An operation prepares all that it needs before it changes anything, so that it does not fail
 * half-way. An operation that fails has changed nothing, unless its comment states otherwise.
 */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include "../platform/copy.h"
#include "frames.h"
#include "inode.h"
#include "lock.h"
#include "page_table.h"
#include "pages.h"
#include "rcu.h"
#include "thread.h"
#include "vma.h"
#include "vma_tree.h"

#include <mmrange/mm.h>
#include <mmrange/range_lock.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct mm {
	/* Constant, except for stacks. */
	struct mm_attr attr;
	uint64_t id;
	const void *copy; /* the copy of the library that made the space */
	bool forked;
	_Atomic(bool) stacks; /* there may be stacks; becomes true once */
	struct mm__frames *frames;

	struct mm__page_table page_table;

	_Alignas(128) pthread_mutex_t tree_lock; /* protects the fields up to the next comment */
	uint64_t tree_lock_taken; /* the time at which a thread took it, in nanoseconds */
	/* VMAs may lie apart that could be one, because there was no memory to merge them. */
	_Atomic(bool) unmerged;
	struct mm__vma_tree vmas; /* faults read it without the lock */

	/* For locking.c only. */
	_Alignas(128) struct range_lock range_lock;
	_Alignas(128) pthread_rwlock_t rwlock;

	/* See room.c. */
	_Alignas(128) pthread_mutex_t room_lock;
	int64_t room;

	/* The end of the heap, not rounded up: see brk.c. Other calls do not write this line. */
	_Alignas(128) _Atomic(uint64_t) brk;

	struct mm__threads threads;
	/* Belongs to no thread. A thread that has the space to itself uses it. */
	struct mm__thread *own_thread;
};

/* mm.c: creates a space. On success, the pool of frames belongs to the new space. */
int mm__create(struct mm **result, const struct mm_attr *attr, struct mm__frames *frames);

/*
 * Stops the process if another copy of the library made the space. That copy knows neither the
 * calling thread as a reader of RCU nor its TLB. For functions that do not need the thread's struct
 * mm__thread: mm__thread_attach() checks the copy, too.
 */
static inline void mm__check_copy(const struct mm *mm)
{
	if (mm->copy != &mmrange__copy)
		mmrange__copy_stop("address space", mm, mm->copy);
}

/* The calling thread's state in the space. NULL: no memory, or too many threads. */
static inline struct mm__thread *mm__this_thread(struct mm *mm)
{
	return mm__thread(mm, mm->id);
}

/*
 * locking.c: the lock that an operation takes
 */

/*
 * The ranges that an operation holds: [start, end), and [other_start, other_end) unless it is
 * empty.
 */
struct mm__hold {
	uint64_t start;
	uint64_t end;
	uint64_t other_start;
	uint64_t other_end;
	bool nested; /* the thread holds the range by mm_lock_range() */
	bool other_nested;
	struct range_hold range;
	struct range_hold other;
};

/* Returns 0 or ENOMEM. */
int mm__locking_init(struct mm *mm);
void mm__locking_destroy(struct mm *mm);

/*
 * start < end. The caller holds nothing but ranges from mm_lock_range(). Returns 0, or EDEADLK if
 * the thread would wait for itself.
 */
int mm__hold_read(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end);
int mm__hold_write(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end);

/* Two ranges, which may overlap. The second may be empty. */
int mm__hold_write_two(struct mm__thread *thread, struct mm__hold *hold, uint64_t start,
		       uint64_t end, uint64_t other_start, uint64_t other_end);

/* Does not wait, so the caller may hold the VMA tree lock. Returns 0, EBUSY or EDEADLK. */
int mm__hold_trywrite(struct mm__thread *thread, struct mm__hold *hold, uint64_t start,
		      uint64_t end);

/* Whether the held ranges cover [start, end). */
bool mm__hold_covers(const struct mm__hold *hold, uint64_t start, uint64_t end);

void mm__release(struct mm__thread *thread, struct mm__hold *hold);

/*
 * The VMA tree lock, with an RCU read section, because other threads may take VMAs out in place
 * meanwhile. mm__tree_unlock() counts in thread for how long the lock was held, unless thread is
 * NULL.
 */
void mm__tree_lock(struct mm *mm);
void mm__tree_unlock(struct mm *mm, struct mm__thread *thread);

/*
 * edit.c: changing VMAs. The thread holds [start, end) for writing. It looks only at the mappings
 * in the range and at those that touch it, and changes no others.
 */
struct mm__edit {
	struct mm__thread *thread;
	uint64_t start;
	uint64_t end;
	bool locked; /* the thread holds the VMA tree lock */
	struct mm__vma_edit tree;
	struct mm__vma_budget nodes; /* reserved by mm__edit_reserve() */
	struct mm__garbage *dead;    /* VMAs that the edit took out */
};

/*
 * Begins an edit in place; returns false if the edit needs the VMA tree lock. unmaps: the edit
 * takes VMAs out, and puts none in. The caller holds no lock but ranges. The thread waits for
 * nothing between begin and end.
 */
bool mm__edit_in_place(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
		       uint64_t end, bool unmaps);

/* Begins an edit with the VMA tree lock. Allocates memory for it before it takes the lock. */
void mm__edit_locked(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
		     uint64_t end);

/* Begins an edit, in place where that is possible. */
void mm__edit_begin(struct mm__edit *edit, struct mm__thread *thread, uint64_t start, uint64_t end,
		    bool unmaps);

/*
 * The same for a caller that holds the VMA tree lock already. The first begins the edit in place
 * and drops the lock, or else begins it with the lock. The second always begins it with the lock.
 * The end of the edit then drops the lock.
 */
void mm__edit_in_tree_lock(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
			   uint64_t end, bool unmaps);
void mm__edit_with_tree_lock(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
			     uint64_t end);

/* Adds another range to an edit with the VMA tree lock. */
static inline void mm__edit_also(struct mm__edit *edit, uint64_t start, uint64_t end)
{
	mm__vma_edit_also(&edit->tree, start, end);
}

/*
 * Drops the VMA tree lock of an edit for a moment, before the edit has changed any mapping. The
 * edit is not in place.
 */
void mm__edit_pause(struct mm__edit *edit);

/*
 * Reserves memory for so many cuts, and for so many calls of mm__vmas_put...() or settled VMAs.
 * Returns 0; or ENOMEM, with nothing reserved. An edit may call it once.
 */
int mm__edit_reserve(struct mm__edit *edit, unsigned int cuts, unsigned int puts);

/*
 * With the VMA tree lock: reserves in *nodes what it takes to split the VMAs at both ends of a
 * range, the last one in a later edit, and to merge once. The caller gives back the rest. Returns 0
 * or ENOMEM.
 */
int mm__edit_reserve_ends(struct mm__edit *edit, struct mm__vma_budget *nodes);

/*
 * Ends an edit with the VMA tree lock that has merged VMAs with these nodes, and refills *nodes. To
 * that end it recycles the nodes that the edit replaced, when no reader looks at them any more. So
 * it cannot fail.
 */
void mm__edit_end_refilled(struct mm__edit *edit, struct mm__vma_budget *nodes);

/*
 * Ends an edit, and drops the VMA tree lock if the edit holds it. Returns the VMAs that the edit
 * took out. The caller passes them to mm__vmas_free() once no thread can use their pages any more.
 * When the last VMA of a file is freed, the file is not mapped any more.
 */
struct mm__garbage *mm__edit_end_removed(struct mm__edit *edit);

/* Ends an edit, and frees these VMAs. */
void mm__edit_end(struct mm__edit *edit);

/*
 * An edit in place of two ranges that do not overlap, for moving mappings from one to the other. It
 * is one edit if one border node has both ranges, or else two edits in two border nodes that begin
 * and end together.
 */
struct mm__edit_move {
	struct mm__edit low;
	struct mm__edit high;
	struct mm__edit *source; /* &low or &high; if there is one edit, &low for both */
	struct mm__edit *target;
};

/*
 * As mm__edit_in_place(). Returns false also if another thread has a border node locked for long.
 */
bool mm__edit_move_in_place(struct mm__edit_move *move, struct mm__thread *thread, uint64_t from,
			    uint64_t from_end, uint64_t to, uint64_t to_end);

/*
 * Ends the edits, and leaves the VMAs that they took out to the caller: see mm__edit_end_removed().
 */
void mm__edit_end_move(struct mm__edit_move *move);

/*
 * Takes the VMA tree lock for an edit that may follow: claims room for VMAs, and allocates the
 * nodes of so many cuts and puts, or fewer if there is no memory. The end of the edit drops the
 * lock. Without an edit, mm__tree_unlock_prepared() does.
 */
void mm__tree_lock_prepared(struct mm__thread *thread, unsigned int cuts, unsigned int puts);
void mm__tree_unlock_prepared(struct mm__thread *thread);

/* stats.c: the index in hold_times[] of struct mm_stats for so many nanoseconds. */
unsigned int mm__hold_time_index(uint64_t ns);

/*
 * Divides the border node at which the thread looks and which other threads change. The caller
 * holds no lock but ranges.
 */
void mm__divide_border(struct mm__thread *thread);

static inline void mm__divide_if_strained(struct mm__thread *thread)
{
	if (mm__vma_looks_strained(&thread->look))
		mm__divide_border(thread);
}

/*
 * Finds the first mapping that ends above addr and begins below end. If it contains addr, the
 * thread needs no VMA tree lock. The caller is in an RCU read section.
 */
bool mm__next_vma(struct mm__thread *thread, uint64_t addr, uint64_t end, struct mm__mapping *m);

/*
 * vmas.c: the changes that operations make to VMAs, in edits
 */

/* The properties of a VMA. */
struct mm__vma_kind {
	int prot;
	int flags;
	struct mm__inode *inode;
	uint64_t offset; /* of address 0 */
};

/* The public flags by which VMAs differ. */
#define MM__VMA_FLAGS                                                                              \
	(MM_MAP_SHARED | MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_GROWSDOWN | MM_MAP_NORESERVE | \
	 MM_MAP_STACK)
/*
 * Internal flags: mm_mlock() has locked the VMA; mm_mprotect() cannot make it writable or
 * executable, because its file is not.
 */
#define MM__VMA_LOCKED   (1 << 30)
#define MM__VMA_NO_WRITE (1 << 29)
#define MM__VMA_NO_EXEC  (1 << 28)

struct mm__vma_kind mm__kind_of(const struct mm__vma *vma);
bool mm__same_kind(const struct mm__vma *vma, const struct mm__vma_kind *kind);

/* Whether the two touch and differ in nothing else, so that they are to be one VMA. */
bool mm__vmas_continue(const struct mm__mapping *left, const struct mm__mapping *right);

/* Whether no mapping lies in [start, end). */
bool mm__range_free(const struct mm__edit *edit, uint64_t start, uint64_t end);

/*
 * By how many VMAs the space grows when [start, end) is cut out: 1 if that is the middle of a VMA,
 * else 0.
 */
unsigned int mm__cut_adds(const struct mm__edit *edit, uint64_t start, uint64_t end);

/*
 * A range to be cut out. It may have any number of VMAs, and the thread must hold the VMA tree lock
 * only for a short time. The thread therefore first makes the count odd of each VMA that lies
 * inside the range and touches neither of its ends, a limited number each time that it holds the
 * lock. No other thread changes or merges such a VMA, because the operation holds the range for
 * writing. Then one step cuts out all of them.
 *
 * Before that step only faults see a change: they wait for the range. mm__vmas_keep() undoes it.
 */
struct mm__cut {
	uint64_t start;
	uint64_t end;
	uint64_t next;             /* the thread has seen all VMAs that begin below */
	uint64_t count;            /* number of VMAs whose counts the thread made odd, .. */
	struct mm__garbage *first; /* .. which are in this list */
	struct mm__garbage *last;
};

/* The number of VMAs that a thread looks at before it drops the VMA tree lock for a moment. */
#define MM__VMAS_AT_ONCE 32u

static inline struct mm__cut mm__cut_of(uint64_t start, uint64_t end)
{
	return (struct mm__cut){ .start = start, .end = end, .next = start };
}

/* As mm__vma_list_next(), in an edit. */
static inline bool mm__edit_next(const struct mm__edit *edit, struct mm__vma_list *list,
				 uint64_t addr, struct mm__mapping *m)
{
	if (list->next == list->count && !mm__vma_edit_list(&edit->tree, addr, list))
		return false;
	*m = list->m[list->next++];
	return true;
}

/* Makes more counts odd. Returns true if it has marked all VMAs. */
bool mm__vmas_mark(const struct mm__edit *edit, struct mm__cut *cut);

/* Makes all these counts odd. May drop the VMA tree lock and take it again. */
void mm__vmas_mark_all(struct mm__edit *edit, struct mm__cut *cut);

/* Makes the counts even: the VMAs stay after all. Needs no lock but the range. */
void mm__vmas_keep(struct mm__cut *cut);

/*
 * Takes the VMAs out of the range, and leaves the parts of them that stick out of it. The caller
 * has marked all VMAs inside, and reserved memory.
 */
void mm__vmas_cut(struct mm__edit *edit, struct mm__cut *cut);

/*
 * Reserves memory, and cuts. Returns 0; or ENOMEM if there is no memory, or if it would have to
 * split a VMA and there are too many. All VMAs then stay.
 */
int mm__vmas_remove(struct mm__edit *edit, struct mm__cut *cut);

/* Cuts a part out of one VMA. The caller has reserved memory. */
void mm__vmas_cut_one(struct mm__edit *edit, uint64_t start, uint64_t end);

/*
 * Puts a VMA where there is none: the first apart from its neighbours, the second merged with them.
 * The caller has reserved memory.
 */
void mm__vmas_put_apart(struct mm__edit *edit, uint64_t start, uint64_t end,
			const struct mm__vma_kind *kind);
void mm__vmas_put(struct mm__edit *edit, uint64_t start, uint64_t end,
		  const struct mm__vma_kind *kind);

/*
 * As mm__vmas_put_apart(), but with an odd count until mm__vmas_settle() merges the VMA. The caller
 * holds the range for writing until then, and has reserved memory.
 */
void mm__vmas_put_changing(struct mm__edit *edit, uint64_t start, uint64_t end,
			   const struct mm__vma_kind *kind);

/*
 * Settles the VMAs of [start, end), which has no hole and which the caller holds for writing:
 * merges those whose counts are odd, and makes the counts even. Does that in edits of its own. If
 * there is no memory, it uses nodes from mm__edit_reserve_ends() for merges; if nodes is NULL, it
 * leaves the VMAs apart.
 */
void mm__vmas_settle(struct mm__thread *thread, uint64_t start, uint64_t end,
		     struct mm__vma_budget *nodes);

/*
 * vmas_change.c: makes [start, end) another kind, VMA by VMA up to the first error. change()
 * changes only protection and MM__VMA_LOCKED, and may return an error. ENOMEM means a hole, or a
 * VMA that would have to be split when there are too many. Want of memory makes it return ENOMEM
 * before it has changed anything. The caller holds the range for writing. Afterwards no page allows
 * more than its VMA does. Pages of locked VMAs that become writable are copied.
 */
int mm__vmas_change(struct mm__thread *thread, uint64_t start, uint64_t end,
		    int (*change)(struct mm__vma_kind *kind, int how), int how);

/*
 * Drops the references of VMAs that were taken out, and frees the VMAs when no fault can look at
 * them any more. The caller holds no lock but ranges.
 */
void mm__vmas_free(struct mm__garbage *list);

/*
 * Ends all VMAs, when no thread uses the space any more. unshared: no thread uses another space
 * with its pool either.
 */
void mm__vmas_destroy(struct mm *mm, bool unshared);

/*
 * room.c: the limit of the number of VMAs
 */

/*
 * The first claims room for an edit, before the thread takes any lock but ranges. The second gives
 * the rest back, after the thread has dropped its locks.
 */
void mm__room_claim(struct mm__thread *thread);
void mm__room_give_back(struct mm__thread *thread);

/* In an edit: whether the number of VMAs may grow by more. */
bool mm__room_for_vmas(const struct mm__thread *thread, uint64_t more);

/* In an edit: counts VMAs that were added, or removed if more is negative. */
void mm__count_vmas(struct mm__thread *thread, int64_t more);

/* As mm__room_for_vmas(), outside an edit. */
bool mm__room_now(struct mm__thread *thread, uint64_t more);

/* Sets another limit, for tests. */
void mm__set_most_vmas(struct mm *mm, uint64_t most);

/* For a new space; and for a thread that stops using it. */
void mm__room_begin(struct mm *mm);
void mm__room_end_thread(struct mm__thread *thread);

/* The number of VMAs: exact if no operation changes it meanwhile. */
uint64_t mm__nr_vmas(struct mm *mm);

/*
 * kept.c: memory of VMAs. A thread keeps the memory that it frees for its next VMAs, up to a bound.
 */

/* Makes sure that the thread has memory for n VMAs. Returns false if there is none. */
bool mm__vmas_stock(unsigned int n);
/* Takes memory that mm__vmas_stock() has provided. */
struct mm__vma *mm__vma_take(void);
/* Frees a VMA: the function of its garbage. */
void mm__vma_drop(struct mm__garbage *garbage);

/* brk.c: the end of the heap. */
uint64_t mm__brk(const struct mm *mm);

/*
 * stack.c: the caller holds the VMA tree lock, or is in an edit
 */

/* Whether [start, end) is free, and leaves its gap to a stack above. */
bool mm__place_free(const struct mm *mm, uint64_t start, uint64_t end);

/*
 * Finds a place of that length, in *addr; returns false if there is none. Finds the highest place
 * that leaves their gaps to all stacks above, or else the lowest one that leaves its gap to the
 * next VMA.
 */
bool mm__find_place(struct mm *mm, uint64_t length, uint64_t *addr);

/*
 * place.c: the same in the calling thread's own place. The caller does not hold the VMA tree lock.
 * Returns false also if the place seems to be full. Other threads may map there before the caller
 * holds the range.
 */
bool mm__find_own_place(struct mm__thread *thread, uint64_t length, uint64_t *addr);

/*
 * In an edit: whether no mapping lies in [start, end), and a stack above keeps its gap, as far as
 * the border node shows.
 */
bool mm__place_still_free(const struct mm__edit *edit, uint64_t start, uint64_t end);

/*
 * In an edit in place: whether mm__place_still_free() is as good as mm__place_free() there, because
 * the border node has the mapping that decides, or none can.
 */
bool mm__place_is_decided(const struct mm__edit *edit, uint64_t start, uint64_t end);

/* Before a thread maps a stack: makes mm__may_have_stacks() true. Needs no lock. */
void mm__note_stack(struct mm *mm);
bool mm__may_have_stacks(const struct mm *mm);

/* Whether the page is not mapped, and a stack above, *stack, may grow down to it. */
bool mm__stack_may_grow(const struct mm *mm, uint64_t page, struct mm__mapping *stack);

/*
 * Grows the stack down to the page, if it may. Returns 0 or ENOMEM. The caller holds the whole
 * space, and not the VMA tree lock.
 */
int mm__stack_grow(struct mm__thread *thread, uint64_t page);

/*
 * fault.c: mm_fault() for valid arguments
 */
int mm__fault(struct mm__thread *thread, uint64_t addr, int access, struct mm_siginfo *info);

/*
 * The same for a page that is not in the thread's TLB: looks into the page table first, and puts
 * the entry that it found, or that the fault made, into the TLB. Another thread may flush the entry
 * at once.
 */
int mm__tlb_fill(struct mm__thread *thread, uint64_t addr, int access, struct mm_siginfo *info);

/*
 * For an access through this entry of the thread's TLB which found that the file does not have the
 * page any more. Fills *info and returns EFAULT. If the page was a private copy, drops the copy.
 */
int mm__file_ended(struct mm__thread *thread, uint64_t addr, uint64_t entry,
		   struct mm_siginfo *info);

/* Makes the pages of [start, end) present, up to the first that fails. */
int mm__populate(struct mm__thread *thread, uint64_t start, uint64_t end, int access);

/* The same for an operation that holds the range for writing. Grows no stack. */
void mm__populate_held(struct mm__thread *thread, uint64_t start, uint64_t end, int access);

/*
 * mlock.c: makes the pages of locked VMAs in [start, end) present, as far as they are mapped.
 * Returns 0; ENOMEM for an error of the VMA; EAGAIN if there is no memory.
 */
int mm__populate_locked(struct mm__thread *thread, uint64_t start, uint64_t end);

/* Rounds up to whole pages; 0 if that wraps. */
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
