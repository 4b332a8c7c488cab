/* SPDX-License-Identifier: MIT */
/*
 * page_cache - the pages of an object of shared anonymous memory, found by their index in it.
 *
 * A radix tree of 64 slots a node, as high as the greatest index needs. It only grows: nodes and
 * frames stay until the tree is destroyed. So a lookup is one load for each level, takes no lock
 * and writes nothing, and what it finds stays valid as long as the tree is there.
 *
 * Ordering: slots and the root are stored with a release [P1] and loaded with an acquire [P2]: a thread
 * that finds a frame sees it as it was when it was inserted.
 */
#ifndef MM_PAGE_CACHE_H
#define MM_PAGE_CACHE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct mm__frame;
struct mm__page_node;

struct mm__page_cache {
	_Atomic(struct mm__page_node *) root;
};

static inline void mm__page_cache_init(struct mm__page_cache *cache)
{
	atomic_init(&cache->root, NULL);
}

/* Puts all frames. No thread uses the cache any more. */
void mm__page_cache_destroy(struct mm__page_cache *cache);

/* NULL: it is not there. */
struct mm__frame *mm__page_cache_find(struct mm__page_cache *cache, uint64_t index);

/*
 * Makes the frame the page of this index, which is less than 2^52 and has none, with a reference of the
 * caller's. One caller at a time. 0; ENOMEM: the reference is the caller's.
 */
int mm__page_cache_insert(struct mm__page_cache *cache, uint64_t index, struct mm__frame *frame);

#endif
