/* SPDX-License-Identifier: MIT */
/*
 * page_cache - finds the pages of an object of shared anonymous memory by their index in it.
 *
 * A radix tree with 64 slots per node, as high as the greatest index needs. The tree only grows:
 * nodes and frames stay until it is destroyed. So a lookup is one load per level, takes no lock,
 * and writes nothing. The frame that it finds stays valid as long as the tree exists.
 *
 * Ordering: a thread that finds a frame sees it as it was when it was inserted.
 *
 *	[CACHE-P1]  the release with which the inserting thread stores a slot or the root
 *	[CACHE-P2]  the acquire with which a lookup loads a slot or the root
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

/* Gives back all frames. No thread uses the cache any more. */
void mm__page_cache_destroy(struct mm__page_cache *cache);

/* NULL: the cache has no such page. */
struct mm__frame *mm__page_cache_find(struct mm__page_cache *cache, uint64_t index);

/*
 * Makes the frame the page of this index, and takes over a reference from the caller. The index is
 * less than 2^52 and has no page yet. One caller at a time. Returns 0, or ENOMEM: then the caller
 * keeps its reference.
 */
int mm__page_cache_insert(struct mm__page_cache *cache, uint64_t index, struct mm__frame *frame);

#endif
