/* SPDX-License-Identifier: MIT */
/*
 * vma_edit - edits of one border node in place, for edits without the VMA tree lock and for changes
 * with it.
 */
#ifndef MM_VMA_EDIT_H
#define MM_VMA_EDIT_H

#include "vma_node.h"

/* After one of the changes below: readers see the change from now on. */
void mm__border_end_change(struct mm__vma_edit *edit);

/* The changes that an edit in place makes. */
void mm__border_insert(struct mm__vma_edit *edit, const struct mm__mapping *m);

void mm__border_set(struct mm__vma_edit *edit, uint64_t start, const struct mm__mapping *m);

void mm__border_erase(struct mm__vma_edit *edit, uint64_t start, uint64_t end);

#endif
