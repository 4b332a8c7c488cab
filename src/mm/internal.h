/* SPDX-License-Identifier: MIT */
/*
 * The address space inside. Where to read: vma_tree.h (which VMAs there are), vma.h (a VMA and
 * its sequence count), page_table.h and pages.h (which frames they have), frames.h (the memory),
 * thread.h (what each thread has of its own), fault.c (how the first three come together), then one
 * file per operation.
 *
 * Four locks, in this order; see lock.h for all:
 *
 * - the range of what an operation is about, for as long as it takes (locking.c);
 * - the VMA tree lock, held only while the shape of the VMA tree changes, or while a place is looked for: no
 *   thread waits for anything with it;
 * - the lock of a border node of the VMA tree, while mappings in it change (edit.c);
 * - the lock of one entry of a page table, or of one table above the lowest level.
 *
 * An operation changes VMAs in place, with the lock of one border node, where it can, and with the VMA tree lock
 * where it cannot. No pointer to a VMA is kept across the end of an edit, since merging may replace an
 * VMA that lies beside the range that the operation holds. Faults look VMAs up in an RCU read section,
 * with none of the first three.
 *
 * What is to be changed is prepared before, so that nothing fails half-way: an operation that fails has
 * changed nothing, unless it says so.
 */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include "../platform/copy.h"
#include "vma.h"
#include "vma_tree.h"
#include "thread.h"
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
	/* Only read, but for stacks. */
	struct mm_attr attr;
	uint64_t id;
	const void *copy; /* of the library, that made it */
	bool forked;
	_Atomic(bool) stacks; /* there may be some; written once */
	struct mm__frames *frames;

	struct mm__page_table page_table;

	_Alignas(128) pthread_mutex_t tree_lock; /* the VMA tree lock: all up to the next comment */
	uint64_t tree_lock_taken;                /* when, in nanoseconds */
	_Atomic(bool) unmerged;     /* for want of memory, VMAs may be apart that could be one */
	struct mm__vma_tree vmas; /* faults read it without the lock */

	/* For locking.c only. */
	_Alignas(128) struct range_lock range_lock;
	_Alignas(128) pthread_rwlock_t rwlock;

	/* See room.c. */
	_Alignas(128) pthread_mutex_t room_lock;
	int64_t room;

	/* The end of the heap, not rounded: see brk.c. Other calls do not write this line. */
	_Alignas(128) _Atomic(uint64_t) brk;

	struct mm__threads threads;
	struct mm__thread *own_thread; /* of no thread, for those who have the space to themselves */
};

/* mm.c: with a pool of frames that is the new space's from then on, if that succeeds. */
int mm__create(struct mm **result, const struct mm_attr *attr, struct mm__frames *frames);

/*
 * Stops if the space is of another copy of the library, which knows neither the calling thread as a
 * reader of RCU nor its TLB. For what does not need the thread's thread: mm__thread_attach() looks, too.
 */
static inline void mm__check_copy(const struct mm *mm)
{
	if (mm->copy != &mmrange__copy)
		mmrange__copy_stop("address space", mm, mm->copy);
}

/* The calling thread's thread. NULL: no memory, or too many threads. */
static inline struct mm__thread *mm__this_thread(struct mm *mm)
{
	return mm__thread(mm, mm->id);
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
int mm__hold_read(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end);
int mm__hold_write(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end);

/* Two ranges, which may overlap; the second may be empty. */
int mm__hold_write_two(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end,
		       uint64_t other_start, uint64_t other_end);

/* Does not wait, so the caller may hold the VMA tree lock. 0, EBUSY or EDEADLK. */
int mm__hold_trywrite(struct mm__thread *thread, struct mm__hold *hold, uint64_t start, uint64_t end);

/* Whether what is held covers [start, end). */
bool mm__hold_covers(const struct mm__hold *hold, uint64_t start, uint64_t end);

void mm__release(struct mm__thread *thread, struct mm__hold *hold);

/*
 * The VMA tree lock, with an RCU read section: other threads may take VMAs out in place meanwhile. thread counts how
 * long it was held; NULL: it is not counted.
 */
void mm__tree_lock(struct mm *mm);
void mm__tree_unlock(struct mm *mm, struct mm__thread *thread);

/*
 * edit.c: changing VMAs. The thread holds [start, end) for writing, and looks at nothing but what is mapped
 * there and what touches it; and changes nothing else.
 */
struct mm__edit {
	struct mm__thread *thread;
	uint64_t start;
	uint64_t end;
	bool locked; /* the VMA tree lock is held */
	struct mm__vma_edit tree;
	struct mm__vma_budget nodes; /* reserved by mm__edit_reserve() */
	struct mm__garbage *dead;     /* VMAs that were taken out */
};

/*
 * Begins one in place; false: with the VMA tree lock only. unmaps: it takes VMAs out, and puts none in. No lock
 * but ranges is held. Between begin and end the thread waits for nothing.
 */
bool mm__edit_in_place(struct mm__edit *edit, struct mm__thread *thread, uint64_t start, uint64_t end,
		       bool unmaps);

/* Begins one with the VMA tree lock, for which memory is got first. */
void mm__edit_locked(struct mm__edit *edit, struct mm__thread *thread, uint64_t start, uint64_t end);

/* Begins one, in place if it can be. */
void mm__edit_begin(struct mm__edit *edit, struct mm__thread *thread, uint64_t start, uint64_t end,
		    bool unmaps);

/*
 * The same where the VMA tree lock is held already: in place, and the VMA tree lock is dropped at once, or with it; or only
 * with it. Then it is dropped with the end of the edit.
 */
void mm__edit_in_tree_lock(struct mm__edit *edit, struct mm__thread *thread, uint64_t start, uint64_t end,
			 bool unmaps);
void mm__edit_with_tree_lock(struct mm__edit *edit, struct mm__thread *thread, uint64_t start,
			   uint64_t end);

/* Another range for an edit with the VMA tree lock. */
static inline void mm__edit_also(struct mm__edit *edit, uint64_t start, uint64_t end)
{
	mm__vma_edit_also(&edit->tree, start, end);
}

/* The VMA tree lock is dropped for a moment, before anything has changed. Not in place. */
void mm__edit_pause(struct mm__edit *edit);

/*
 * For so many cuts and mm__vmas_put...(), and settles of one VMA. 0; or ENOMEM, and nothing is reserved.
 * Once in an edit.
 */
int mm__edit_reserve(struct mm__edit *edit, unsigned int cuts, unsigned int puts);

/*
 * With the VMA tree lock: for VMAs at both ends of a range to be split, the last in a later edit, and for one
 * merge, in *nodes. The caller gives back what it has not used. 0 or ENOMEM.
 */
int mm__edit_reserve_ends(struct mm__edit *edit, struct mm__vma_budget *nodes);

/*
 * Ends an edit with the VMA tree lock that has merged VMAs with these nodes, and gets as many again: those that
 * it has replaced, when no reader looks at them any more. So this cannot fail.
 */
void mm__edit_end_refilled(struct mm__edit *edit, struct mm__vma_budget *nodes);

/*
 * Ends it. Returns what VMAs were taken out, for mm__vmas_free() once no thread can use their pages any
 * more: with the last of them a file is not mapped any more. The VMA tree lock is not held any more.
 */
struct mm__garbage *mm__edit_end_removed(struct mm__edit *edit);

/* The same, and frees them. */
void mm__edit_end(struct mm__edit *edit);

/*
 * Edits in place of two ranges that do not overlap, so that what is at one moves to the other: one edit, if
 * both are in one border node, or two edits in two border nodes that begin and end together.
 */
struct mm__edit_move {
	struct mm__edit low;
	struct mm__edit high;
	struct mm__edit *source; /* one of them, or low for both */
	struct mm__edit *target;
};

/* As mm__edit_in_place(). False also if another thread has one of the border nodes for long. */
bool mm__edit_move_in_place(struct mm__edit_move *move, struct mm__thread *thread, uint64_t from,
			    uint64_t from_end, uint64_t to, uint64_t to_end);

/* Border nodes what was taken out to the caller: see mm__edit_end_removed(). */
void mm__edit_end_move(struct mm__edit_move *move);

/*
 * The VMA tree lock, for an edit that may begin: with room for VMAs, and memory for the nodes of so many cuts and
 * puts, or less if there is none. The edit ends with it, or it is dropped without.
 */
void mm__tree_lock_prepared(struct mm__thread *thread, unsigned int cuts, unsigned int puts);
void mm__tree_unlock_prepared(struct mm__thread *thread);

/* stats.c: which hold_times[] of struct mm_stats counts so many nanoseconds. */
unsigned int mm__hold_time_index(uint64_t ns);

/*
 * The thread only looks at VMAs in a border node that other threads change: divides the border node. No lock but ranges is
 * held.
 */
void mm__divide_border(struct mm__thread *thread);

static inline void mm__divide_if_strained(struct mm__thread *thread)
{
	if (mm__vma_looks_strained(&thread->look))
		mm__divide_border(thread);
}

/*
 * The first mapping that ends above addr and begins below end, without the VMA tree lock where it contains addr.
 * In an RCU read section.
 */
bool mm__next_vma(struct mm__thread *thread, uint64_t addr, uint64_t end, struct mm__mapping *m);

/*
 * vmas.c: what operations do to VMAs, in edits.
 */

/* What a new VMA is to be like. */
struct mm__vma_kind {
	int prot;
	int flags;
	struct mm__inode *inode;
	uint64_t offset; /* of address 0 */
};

/* The flags that tell VMAs apart. */
#define MM__VMA_FLAGS                                                                             \
	(MM_MAP_SHARED | MM_MAP_PRIVATE | MM_MAP_ANONYMOUS | MM_MAP_GROWSDOWN | MM_MAP_NORESERVE | \
	 MM_MAP_STACK)
/* Beside those: mm_mlock(), and what mm_mprotect() cannot make writable, or executable, as its file is. */
#define MM__VMA_LOCKED   (1 << 30)
#define MM__VMA_NO_WRITE (1 << 29)
#define MM__VMA_NO_EXEC  (1 << 28)

struct mm__vma_kind mm__kind_of(const struct mm__vma *vma);
bool mm__same_kind(const struct mm__vma *vma, const struct mm__vma_kind *kind);

/* Whether right goes on where left ends, and they are the same otherwise: then they are to be one. */
bool mm__vmas_continue(const struct mm__mapping *left, const struct mm__mapping *right);

/* Whether nothing is mapped in [start, end). */
bool mm__range_free(const struct mm__edit *edit, uint64_t start, uint64_t end);

/*
 * How many more VMAs there are when [start, end) has been cut out: 1 if it is the middle of one,
 * else 0.
 */
unsigned int mm__cut_adds(const struct mm__edit *edit, uint64_t start, uint64_t end);

/*
 * A range that is to be cut out. Any number of VMAs may lie there, and the VMA tree lock is to be held for
 * a short time only. So the count of each VMA that lies inside, with something of the range on both
 * sides, is made odd first: some of them each time that the lock is held. No other thread changes
 * such a VMA, or merges it, because the operation holds the range for writing. Then one step cuts
 * out all.
 *
 * Until then nothing has changed but for faults, which wait for the range: mm__vmas_keep() undoes it.
 */
struct mm__cut {
	uint64_t start;
	uint64_t end;
	uint64_t next;             /* the VMAs that begin below have been seen */
	uint64_t count;            /* of the VMAs whose counts are odd, .. */
	struct mm__garbage *first; /* .. which are listed */
	struct mm__garbage *last;
};

/* How many VMAs are looked at before the VMA tree lock is dropped for a moment. */
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

/* Makes more counts odd. True: there are no more. */
bool mm__vmas_mark(const struct mm__edit *edit, struct mm__cut *cut);

/* The same for all. It may drop the VMA tree lock and take it again. */
void mm__vmas_mark_all(struct mm__edit *edit, struct mm__cut *cut);

/* The VMAs stay after all. Needs no lock but the range. */
void mm__vmas_keep(struct mm__cut *cut);

/*
 * Takes out what lies in the range, which border nodes the rest of VMAs that stick out. All VMAs inside
 * have been marked. Reserved.
 */
void mm__vmas_cut(struct mm__edit *edit, struct mm__cut *cut);

/*
 * Reserves, and cuts. 0; or ENOMEM: a VMA would have to be split and there are too many, or there is
 * no memory; then all VMAs stay.
 */
int mm__vmas_remove(struct mm__edit *edit, struct mm__cut *cut);

/* Cuts a part of one VMA out. Reserved. */
void mm__vmas_cut_one(struct mm__edit *edit, uint64_t start, uint64_t end);

/* Puts a VMA where there is none, merged with its neighbours, or apart from them. Reserved. */
void mm__vmas_put_apart(struct mm__edit *edit, uint64_t start, uint64_t end,
			 const struct mm__vma_kind *kind);
void mm__vmas_put(struct mm__edit *edit, uint64_t start, uint64_t end,
		   const struct mm__vma_kind *kind);

/*
 * The same, but the VMA counts as being changed until mm__vmas_settle() merges it. The caller holds
 * its range for writing until then. Reserved.
 */
void mm__vmas_put_changing(struct mm__edit *edit, uint64_t start, uint64_t end,
			    const struct mm__vma_kind *kind);

/*
 * Settles the VMAs of [start, end), which is held for writing and has no hole: what counts as being changed
 * merges, and does not count so any more. In edits of its own. nodes: of mm__edit_reserve_ends(), for merges
 * where there is no memory; NULL: then, VMAs stay apart.
 */
void mm__vmas_settle(struct mm__thread *thread, uint64_t start, uint64_t end,
		      struct mm__vma_budget *nodes);

/*
 * vmas_change.c: makes what lies in [start, end) another kind, VMA by VMA up to the first error: of
 * change(), which changes protection and MM__VMA_LOCKED only, or ENOMEM where there is a hole, or an
 * VMA would have to be split and there are too many. ENOMEM for want of memory comes before anything
 * has changed. The caller holds the range for writing. Pages come to allow no more than their VMAs, and
 * those of locked VMAs that become writable are copied.
 */
int mm__vmas_change(struct mm__thread *thread, uint64_t start, uint64_t end,
		     int (*change)(struct mm__vma_kind *kind, int how), int how);

/*
 * Gives back what VMAs hold that were taken out, and frees them when no fault can look at them any
 * more. No lock is held but ranges.
 */
void mm__vmas_free(struct mm__garbage *list);

/* Ends all VMAs, when nobody uses mm any more; unshared: nor any other space with its pool. */
void mm__vmas_destroy(struct mm *mm, bool unshared);

/*
 * room.c: how many VMAs there may be.
 */

/* For an edit of the thread that begins, which has no lock but ranges yet; and when it has dropped its locks. */
void mm__room_claim(struct mm__thread *thread);
void mm__room_give_back(struct mm__thread *thread);

/* In an edit: whether the VMAs may become so many more. */
bool mm__room_for_vmas(const struct mm__thread *thread, uint64_t more);

/* In an edit: there are so many more, or less. */
void mm__count_vmas(struct mm__thread *thread, int64_t more);

/* The same as mm__room_for_vmas(), not in an edit. */
bool mm__room_now(struct mm__thread *thread, uint64_t more);

/* Another limit, for tests. */
void mm__set_most_vmas(struct mm *mm, uint64_t most);

/* Of a new space; and when a thread ends to use it. */
void mm__room_begin(struct mm *mm);
void mm__room_end_thread(struct mm__thread *thread);

/* How many there are: exact, if no operation changes them meanwhile. */
uint64_t mm__nr_vmas(struct mm *mm);

/*
 * kept.c: memory of VMAs. A thread keeps what it frees for the next ones, up to a bound.
 */

/* Sees to it that the thread has memory for so many. False: there is none. */
bool mm__vmas_stock(unsigned int n);
/* Of what mm__vmas_stock() has seen to. */
struct mm__vma *mm__vma_take(void);
/* Frees a VMA, as a function of garbage. */
void mm__vma_drop(struct mm__garbage *garbage);

/* brk.c: the end of the heap. */
uint64_t mm__brk(const struct mm *mm);

/*
 * stack.c. All with the VMA tree lock held, or in an edit.
 */

/* Whether [start, end) is free, and no stack above would lose its gap. */
bool mm__place_free(const struct mm *mm, uint64_t start, uint64_t end);

/*
 * A place of that length, in *addr; false: there is none. The highest, if the gaps of all stacks above
 * are kept; otherwise the lowest that keeps that of the next VMA.
 */
bool mm__find_place(struct mm *mm, uint64_t length, uint64_t *addr);

/*
 * place.c: the same in the calling thread's own place, without the VMA tree lock; false also if that seems to be
 * full. Other threads may map there before the caller holds the range.
 */
bool mm__find_own_place(struct mm__thread *thread, uint64_t length, uint64_t *addr);

/* In an edit: whether nothing is mapped in [start, end), and no stack in the border node above would lose its gap. */
bool mm__place_still_free(const struct mm__edit *edit, uint64_t start, uint64_t end);

/* In an edit in place: whether that says as much as mm__place_free(), because the border node has what decides it. */
bool mm__place_is_decided(const struct mm__edit *edit, uint64_t start, uint64_t end);

/* There is to be a stack: before it is mapped. No lock is needed. */
void mm__note_stack(struct mm *mm);
bool mm__may_have_stacks(const struct mm *mm);

/* Whether the page is not mapped, and a stack above it, *stack, may grow down to it. */
bool mm__stack_may_grow(const struct mm *mm, uint64_t page, struct mm__mapping *stack);

/* Grows the stack down to the page, if it may. 0 or ENOMEM. With everything held; not with the VMA tree lock. */
int mm__stack_grow(struct mm__thread *thread, uint64_t page);

/*
 * fault.c: mm_fault() for an access that is valid.
 */
int mm__fault(struct mm__thread *thread, uint64_t addr, int access, struct mm_siginfo *info);

/*
 * The same for what is not in the TLB of the thread: looks into the page table first, and puts what
 * was found, or came of the fault, into the TLB. It may be gone again at once.
 */
int mm__tlb_fill(struct mm__thread *thread, uint64_t addr, int access, struct mm_siginfo *info);

/*
 * An access by this entry, in the TLB of the thread, has found that the file does not have the page any
 * more. Says so in *info, and returns EFAULT. If the page was a private copy, that is gone.
 */
int mm__file_ended(struct mm__thread *thread, uint64_t addr, uint64_t entry, struct mm_siginfo *info);

/* Makes the pages of [start, end) present, until one fails. */
int mm__populate(struct mm__thread *thread, uint64_t start, uint64_t end, int access);

/* The same for an operation that holds the range for writing; no stack grows. */
void mm__populate_held(struct mm__thread *thread, uint64_t start, uint64_t end, int access);

/*
 * mlock.c: makes the pages of locked VMAs in [start, end) present, as far as they are mapped. 0;
 * ENOMEM where that is an error of the VMA; EAGAIN where there is no memory.
 */
int mm__populate_locked(struct mm__thread *thread, uint64_t start, uint64_t end);

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
