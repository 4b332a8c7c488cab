/* SPDX-License-Identifier: MIT */
/*
 * vma_edit - changes slots of a border node in place, whether or not the writer also holds the VMA
 * tree lock.
 */
#ifndef MM_VMA_EDIT_H
#define MM_VMA_EDIT_H

#include "vma_node.h"

/* Ends a change: readers see it from now on. */
void mm__border_end_change(struct mm__vma_edit *edit);

/* The changes that an edit in place makes. */
void mm__border_insert(struct mm__vma_edit *edit, const struct mm__mapping *m);

void mm__border_set(struct mm__vma_edit *edit, uint64_t start, const struct mm__mapping *m);

void mm__border_erase(struct mm__vma_edit *edit, uint64_t start, uint64_t end);

#endif
