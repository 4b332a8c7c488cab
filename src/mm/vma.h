/* SPDX-License-Identifier: MIT */
/*
 * VMA - a mapping of memory with one protection and one set of flags, and the sequence count by
 * which a fault notices that the VMA changes.
 *
 * A VMA shows the same memory as long as it lives. Its protection and MM__VMA_LOCKED change in
 * place, while its count is odd. For any other change, a thread takes the VMA out of the tree and
 * puts a new one in. Only the tree records the bounds of a VMA. A VMA may grow, when a merge
 * extends it over its neighbour. It never shrinks, because a fault that has found it relies on the
 * bounds that it saw. RCU frees its memory.
 *
 * The count is odd while a thread changes the VMA or the page table entries under it, and stays odd
 * once the VMA has left the tree. The count only grows. A thread that changes it holds the range of
 * the whole VMA for writing, or has locked the border node that has the VMA: see [VMA-N] in vmas.c.
 *
 *	fault                               thread that changes the VMA
 *	[VMA-Q1] count: even? acquire       [VMA-W1] count odd
 *	         prepare a page                      full fence
 *	         lock the entry if it       [VMA-W2] change the VMA, or take it out of the tree
 *	         is as it was               [VMA-W3] each entry: locked? wait. To change? swap it
 *	[VMA-Q2] count as in VMA-Q1?        [VMA-W4] flush TLBs
 *	         install and unlock, or     [VMA-W5] count even, release
 *	         unlock as it was
 *
 * The locking of the entry and VMA-Q2 are sequentially consistent, and so pair with the fence of
 * VMA-W1. Either VMA-W3 finds the entry locked, or as the fault has left it; or VMA-Q2 sees VMA-W1.
 * In the first case VMA-W3 waits until the entry is unlocked, and changes the entry that the fault
 * installed. In the second case the fault leaves the entry as it was. VMA-W3 therefore needs no
 * lock for an entry that is empty, or that needs no change. If VMA-W3 swaps an entry, a fault that
 * locks the entry afterwards sees VMA-W1 in any case, because the locking acquires what the swap
 * released. If a thread changes several VMAs, one fence after the last VMA-W1 and before the first
 * VMA-W3 suffices.
 *
 * If VMA-W3 finds no table, another thread linked the table later, and a fault that finds the table
 * sees VMA-W1. (This holds on machines where all threads see stores in one order. This library
 * supports no others.)
 *
 * The acquire of VMA-Q1 pairs with the release of VMA-W5. A thread that sees the even count of
 * VMA-W5 reads entries and bytes as they are after VMA-W4. By then it sees all bytes that other
 * threads wrote through stale TLB entries.
 *
 * A protection that changes in place is a release store after VMA-W1, and a fault loads it with
 * acquire. A fault that finds the new protection before VMA-W5 therefore sees VMA-W1 at VMA-Q2.
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
	_Atomic(int) flags;      /* MM_MAP_... that make VMAs differ, and MM__VMA_... */
	struct mm__inode *inode; /* NULL: private anonymous memory */
	uint64_t offset;         /* in the inode, of address 0: independent of the VMA's start */
};

static inline int mm__vma_prot(const struct mm__vma *vma)
{
	/* acquire: pairs with mm__vma_set_prot() */
	return atomic_load_explicit(&vma->prot, memory_order_acquire);
}

static inline int mm__vma_flags(const struct mm__vma *vma)
{
	/* relaxed: a fault reads none of the flags that change in place */
	return atomic_load_explicit(&vma->flags, memory_order_relaxed);
}

/* [VMA-W2] In an edit, while the count is odd. */
static inline void mm__vma_set_prot(struct mm__vma *vma, int prot)
{
	/* release: pairs with mm__vma_prot() */
	atomic_store_explicit(&vma->prot, prot, memory_order_release);
}

static inline void mm__vma_set_flags(struct mm__vma *vma, int flags)
{
	atomic_store_explicit(&vma->flags, flags, memory_order_relaxed);
}

#ifdef MM__FLOOR
#include "floor.h"
#else
/* [VMA-Q1] Stores the count in *seq. Returns false if it is odd. */
static inline bool mm__vma_begin(const struct mm__vma *vma, uint64_t *seq)
{
	*seq = atomic_load_explicit(&vma->seq, memory_order_acquire);
	return !(*seq & 1);
}

/* [VMA-Q2] The caller has locked the entry. */
static inline bool mm__vma_unchanged(const struct mm__vma *vma, uint64_t seq)
{
	/* sequentially consistent, after locking the entry: pairs with the fence of [VMA-W1] */
	return atomic_load_explicit(&vma->seq, memory_order_seq_cst) == seq;
}
#endif

static inline bool mm__vma_changing(const struct mm__vma *vma)
{
	/* relaxed: the caller is a thread that may change the count itself */
	return atomic_load_explicit(&vma->seq, memory_order_relaxed) & 1;
}

/* [VMA-W1] without the fence, which must follow. */
static inline void mm__vma_mark(struct mm__vma *vma)
{
	uint64_t seq = atomic_load_explicit(&vma->seq, memory_order_relaxed);

	/* relaxed: the fence, or the swap of an entry, orders the store before [VMA-Q2] */
	atomic_store_explicit(&vma->seq, seq + 1, memory_order_relaxed);
}

/* [VMA-W1] */
static inline void mm__vma_change_begin(struct mm__vma *vma)
{
	mm__vma_mark(vma);
	mmrange__full_fence();
}

/* [VMA-W5] */
static inline void mm__vma_change_end(struct mm__vma *vma)
{
	uint64_t seq = atomic_load_explicit(&vma->seq, memory_order_relaxed);

	atomic_store_explicit(&vma->seq, seq + 1, memory_order_release);
}

#endif
