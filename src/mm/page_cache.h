/* SPDX-License-Identifier: MIT */
/*
 * page_cache - the pages of one inode, found by their index in it.
 *
 * A radix tree of 64 slots a node, as high as the greatest index needs. It only grows: nodes and
 * frames stay until the tree is destroyed. So a lookup is one load for each level, takes no lock
 * and writes nothing, and what it finds stays valid as long as the tree is there.
 *
 * liburcu's hash table (cds_lfht) would do for lookups too. But it ends the process when there is
 * no memory for its buckets (assert() in rculfhash-mm-order.c, abort() in rculfhash-mm-mmap.c),
 * where a fault has to fail with ENOMEM; it grows in a thread of its own; it has no order, in which
 * ranges are written back; and ThreadSanitizer, which does not see into it, would take what is read
 * through it for data races. Its strength, taking out under readers, is not needed here.
 *
 * Ordering: slots and the root are stored with a release [P1] and loaded with an acquire [P2]: who
 * finds a frame sees the bytes that were read into it.
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

/* Puts all frames. Nobody uses the cache any more. */
void mm__page_cache_destroy(struct mm__page_cache *cache);

/* NULL: it is not there, or outdated. */
struct mm__frame *mm__page_cache_find(struct mm__page_cache *cache, uint64_t index);

/* NULL: it is not there, or up to date. */
struct mm__frame *mm__page_cache_find_outdated(struct mm__page_cache *cache, uint64_t index);

/*
 * Makes the frame the page of this index, which is less than 2^52, with a reference of the caller's; or says that it is up
 * to date again, if it is the page. One caller at a time. 0; ENOMEM: the reference is the caller's.
 */
int mm__page_cache_insert(struct mm__page_cache *cache, uint64_t index, struct mm__frame *frame);

/* The pages from this index on are not up to date any more. Not during an insertion. */
void mm__page_cache_outdate(struct mm__page_cache *cache, uint64_t first);

/* The page is in the cache. Writes nothing if it is dirty already. It stays dirty. */
void mm__page_cache_set_dirty(struct mm__page_cache *cache, uint64_t index);

/* The first dirty page in [*index, end) that is not outdated, and its index. NULL: there is none. */
struct mm__frame *mm__page_cache_next_dirty(struct mm__page_cache *cache, uint64_t *index,
					    uint64_t end);

#endif
