/* SPDX-License-Identifier: MIT */
/* vma_spares - memory for the nodes of a vma_tree, for the functions that change it. */
#ifndef MM_VMA_SPARES_H
#define MM_VMA_SPARES_H

#include "vma_tree.h"

/* Begins a change that uses this budget. */
void mm__vma_change(struct mm__vma_tree *tree, struct mm__vma_budget *budget);

/*
 * Takes memory for a node of the current change from the reserved spares. All keys in it are
 * UINT64_MAX. mm__vma_spare_give() gives back the memory of such a node; the caller has reset its
 * keys to UINT64_MAX.
 */
void *mm__vma_spare_take(struct mm__vma_tree *tree, bool interior);
void mm__vma_spare_give(struct mm__vma_tree *tree, void *spare, bool interior);

void mm__vma_spares_free(struct mm__vma_spares *spares);

#endif
