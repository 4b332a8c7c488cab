/* SPDX-License-Identifier: MIT */
/* vma_erase - taking border nodes out of a vma_tree. */
#ifndef MM_VMA_ERASE_H
#define MM_VMA_ERASE_H

#include "vma_tree.h"

/*
 * Removes the border nodes that lie in [start, end), where nothing is mapped. Mappings that they
 * have outside of the range move to other border nodes.
 */
void mm__vma_tree_remove_borders(struct mm__vma_edit *edit, uint64_t start, uint64_t end);

/*
 * If the border node of addr has too few mappings, joins it with a sibling, or moves some of the
 * sibling's to it.
 */
void mm__vma_tree_refill(struct mm__vma_edit *edit, uint64_t addr);

#endif
