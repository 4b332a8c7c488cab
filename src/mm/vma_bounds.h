/* SPDX-License-Identifier: MIT */
/*
 * vma_bounds - the bounds of a border node that [TREE-F] in vma_path.h speaks of: an edit in place
 * keeps to them, a search for room tightens them, and a writer with the VMA tree lock widens them.
 */
#ifndef MM_VMA_BOUNDS_H
#define MM_VMA_BOUNDS_H

#include "vma_node.h"

/* [TREE-F]: whether the border node's bounds allow an edit in place to take [start, end) out. */
bool mm__border_may_unmap(const struct border *border, uint64_t start, uint64_t end);

/*
 * With the VMA tree lock: records the sum of the border node's mappings in the node, and returns
 * it.
 */
struct sum mm__border_tighten(const struct mm__vma_tree *tree, struct border *border);

/*
 * Records wider bounds, so that an edit in place can unmap [start, end). The border node is not
 * locked.
 */
void mm__border_widen(struct border *border, uint64_t start, uint64_t end);

#endif
