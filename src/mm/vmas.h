/* SPDX-License-Identifier: MIT */
/* vmas - the changes that operations make to VMAs, in edits. */
#ifndef MM_VMAS_H
#define MM_VMAS_H

#include "edit.h"
#include "vma.h"

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

/*
 * Finds the first mapping that ends above addr and begins below end. If it contains addr, the
 * thread needs no VMA tree lock. The caller is in an RCU read section.
 */
bool mm__next_vma(struct mm__thread *thread, uint64_t addr, uint64_t end, struct mm__mapping *m);

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
 * As mm__vmas_put_apart(), but with an odd count until mm__vmas_merge_changed() merges the VMA. The
 * caller holds the range for writing until then, and has reserved memory.
 */
void mm__vmas_put_changing(struct mm__edit *edit, uint64_t start, uint64_t end,
			   const struct mm__vma_kind *kind);

/*
 * In [start, end), which has no hole and which the caller holds for writing: merges the VMAs whose
 * counts are odd, and makes the counts even. Does that in edits of its own. If
 * there is no memory, it uses nodes from mm__edit_reserve_ends() for merges; if nodes is NULL, it
 * leaves the VMAs apart.
 */
void mm__vmas_merge_changed(struct mm__thread *thread, uint64_t start, uint64_t end,
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
 * Ends all VMAs, when no thread uses the space any more. unshared: no thread uses another space
 * with its pool either.
 */
void mm__vmas_destroy(struct mm *mm, bool unshared);

#endif
