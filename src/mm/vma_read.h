/* SPDX-License-Identifier: MIT */
/* vma_read - looking up mappings in a border node, as readers do: see vma_border.h. */
#ifndef MM_VMA_READ_H
#define MM_VMA_READ_H

#include "vma_node.h"

/*
 * For a writer that has the border node locked, or a reader that checks seq: finds the mapping that
 * contains addr; or, if next is set, the first one that ends above addr.
 */
bool mm__border_look(const struct border *border, uint64_t addr, bool next, struct mm__mapping *m);

/* Lists the mappings that end above addr, as a reader. */
void mm__border_list(const struct border *border, uint64_t addr, struct mm__vma_list *list);

/* As mm__border_list(), for a writer that has the border node locked. */
void mm__border_list_locked(const struct border *border, uint64_t addr, struct mm__vma_list *list);

#endif
