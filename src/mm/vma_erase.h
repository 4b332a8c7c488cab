/* SPDX-License-Identifier: MIT */
#ifndef MM_VMA_ERASE_H
#define MM_VMA_ERASE_H

#include "vma_tree.h"

/*
 * Removes all border nodes in [start, end), where nothing is mapped. Keeps their mappings beside
 * the range.
 */
void mm__vma_tree_remove_borders(struct mm__vma_edit *edit, uint64_t start, uint64_t end);

/*
 * If the border node of addr has too few mappings, joins it with a sibling, or moves some of the
 * sibling's to it.
 */
void mm__vma_tree_refill(struct mm__vma_edit *edit, uint64_t addr);

#endif
