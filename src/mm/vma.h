/* SPDX-License-Identifier: MIT */
/*
 * VMA - what is mapped somewhere, and the sequence count by which a fault notices that it changes.
 *
 * A VMA shows the same memory as long as it lives. Its protection and MM__VMA_LOCKED change in
 * place, while its count is odd; anything else is taken out of the tree, and something new put in.
 * Where it lies is in the tree alone, so it may grow when it merges with what is put beside it; but it
 * never becomes smaller, since a fault that found it may think that it still is where it was. Its memory
 * is freed through RCU.
 *
 * The count is odd while the VMA, or the page table entries under it, are being changed, and for
 * ever once the VMA is not in the tree any more. It only grows. A thread that changes it holds the range of
 * the whole VMA for writing, or has locked the border node that the VMA is in: see [N] in vmas.c.
 *
 *	fault                                   who changes
 *	[Q1] count: even? acquire               [W1] count odd
 *	     prepare a page                          full fence
 *	     lock the entry if it is            [W2] the VMA, or taken out of the tree
 *	     as it was                          [W3] each entry: locked? wait. To be changed? swap it
 *	[Q2] count as in Q1?                    [W4] flush TLBs
 *	     install and unlock,                [W5] count even, release
 *	     or unlock as it was
 *
 * The locking of the entry and Q2 are sequentially consistent, so that they are a pair with W1's fence:
 * either W3 finds the entry locked, or as the fault has left it, or Q2 sees W1. In the first case W3 waits,
 * and changes what was installed; in the second one the fault border nodes the entry as it was. So W3 needs no
 * lock for an entry that is empty, or as it has to be. Where W3 swaps an entry, a fault that locks it
 * afterwards sees W1 anyway, as the locking acquires what the swap has released. Where several VMAs are
 * changed, one fence after the last of them will do, if it is before the first W3.
 *
 * If W3 finds that there is no table, the table was linked in later, and a fault that finds it sees W1. (On
 * machines where all threads see stores in one order, which are all that this is for.)
 *
 * Q1's acquire pairs with W5's release: who sees the even count of W5 reads entries and bytes as they are
 * after W4, and not as another thread still wrote them before through its TLB.
 *
 * A protection that changes in place is a release after W1, and is read by acquire: a fault that finds
 * the new one before W5 sees W1 at Q2.
 */
#ifndef MM_VMA_H
#define MM_VMA_H

#include "../platform/platform.h"
#include "rcu.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mm__inode;

struct mm__vma {
	_Alignas(64) struct mm__garbage garbage;
	_Atomic(uint64_t) seq;
	_Atomic(int) prot;
	_Atomic(int) flags;      /* MM_MAP_... that tell VMAs apart, and MM__VMA_... */
	struct mm__inode *inode; /* NULL: private anonymous memory */
	uint64_t offset;         /* of address 0 in the inode: so it does not depend on the start */
};

static inline int mm__vma_prot(const struct mm__vma *vma)
{
	/* acquire: pairs with mm__vma_set_prot() */
	return atomic_load_explicit(&vma->prot, memory_order_acquire);
}

static inline int mm__vma_flags(const struct mm__vma *vma)
{
	/* relaxed: of what changes in place, faults look at nothing */
	return atomic_load_explicit(&vma->flags, memory_order_relaxed);
}

/* [W2] With an odd count, in an edit. */
static inline void mm__vma_set_prot(struct mm__vma *vma, int prot)
{
	/* release: pairs with mm__vma_prot() */
	atomic_store_explicit(&vma->prot, prot, memory_order_release);
}

static inline void mm__vma_set_flags(struct mm__vma *vma, int flags)
{
	atomic_store_explicit(&vma->flags, flags, memory_order_relaxed);
}

/* [Q1] Returns the count; false: it is odd. */
static inline bool mm__vma_begin(const struct mm__vma *vma, uint64_t *seq)
{
	*seq = atomic_load_explicit(&vma->seq, memory_order_acquire);
	return !(*seq & 1);
}

/* [Q2] With the entry locked. */
static inline bool mm__vma_unchanged(const struct mm__vma *vma, uint64_t seq)
{
	/* sequentially consistent: pairs with the fence of [W1], after the locking of the entry */
	return atomic_load_explicit(&vma->seq, memory_order_seq_cst) == seq;
}

static inline bool mm__vma_changing(const struct mm__vma *vma)
{
	/* relaxed: for those who may change it themselves */
	return atomic_load_explicit(&vma->seq, memory_order_relaxed) & 1;
}

/* [W1] without the fence, which is to follow. */
static inline void mm__vma_mark(struct mm__vma *vma)
{
	uint64_t seq = atomic_load_explicit(&vma->seq, memory_order_relaxed);

	/* relaxed: the fence, or the swap of an entry, orders it before [Q2] */
	atomic_store_explicit(&vma->seq, seq + 1, memory_order_relaxed);
}

/* [W1] */
static inline void mm__vma_change_begin(struct mm__vma *vma)
{
	mm__vma_mark(vma);
	mmrange__full_fence();
}

/* [W5] */
static inline void mm__vma_change_end(struct mm__vma *vma)
{
	uint64_t seq = atomic_load_explicit(&vma->seq, memory_order_relaxed);

	atomic_store_explicit(&vma->seq, seq + 1, memory_order_release);
}

#endif
