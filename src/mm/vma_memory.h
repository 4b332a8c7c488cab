/* SPDX-License-Identifier: MIT */
/*
 * vma_memory - memory of VMAs. A thread keeps the memory that it frees for its next VMAs, up to a
 * bound.
 */
#ifndef MM_VMA_MEMORY_H
#define MM_VMA_MEMORY_H

#include "vma.h"

/* Makes sure that the thread has memory for n VMAs. Returns false if there is none. */
bool mm__vmas_stock(unsigned int n);
/* Takes memory that mm__vmas_stock() has provided. */
struct mm__vma *mm__vma_take(void);
/* Frees a VMA: the free function of its struct mm__garbage. */
void mm__vma_drop(struct mm__garbage *garbage);

/* Gives back the VMA's reference of its inode, if it has one. */
void mm__vma_put_inode(const struct mm__vma *vma);

/*
 * Drops the references of VMAs that were taken out, and frees the VMAs when no fault can look at
 * them any more. The caller holds no lock but ranges.
 */
void mm__vmas_free(struct mm__garbage *list);

#endif
