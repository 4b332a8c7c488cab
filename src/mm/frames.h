/* SPDX-License-Identifier: MIT */
/*
 * frames - page-sized pieces of real memory, up to a limit.
 *
 * An address space and all its relatives by mm_fork() share one pool of frames. Each thread has a
 * cache of free frames for each address space: a magazine that it uses, and some full ones (after
 * Bonwick & Adams, "Magazines and Vmem", 2001). Further magazines go to the pool's depot and come
 * from there. So in the steady state, an allocation writes no memory that another thread writes.
 *
 * The pool limits the number of frames in existence. So the limit is exact without a common
 * counter. A thread that finds neither a free frame nor room for new ones empties the caches of all
 * threads, and then sees whether any frame is free.
 *
 * A frame counts its references: one for each page table entry that maps it, and one for the shared
 * memory whose page it is. At 0 the frame is free. A frame records which of its lines were written.
 * When the pool hands it out again, only those lines are zeroed. So the cost of a page depends on
 * how much of it was used, and clearing does not dominate the time of a fault.
 *
 * Frames move between the depot and a cache under the depot's lock. So a thread that holds this
 * lock and looks into all caches misses no frame.
 */
#ifndef MM_FRAMES_H
#define MM_FRAMES_H

#include <mmrange/mm.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The description of a frame. It lies apart from the frame's bytes. */
struct mm__frame {
	_Atomic(uint64_t) dirty; /* bit i: the i-th 64 bytes may contain something other than 0 */
	_Atomic(uint32_t) refs;
	/* In the head of a batch: the number of its frames. While checking: the references seen. */
	uint32_t number;
	struct mm__frame *next;
	struct mm__frame *next_batch;
};

struct mm__frame_chunk;

/* A list of free frames, or of frames that lose a reference together. */
struct mm__frame_list {
	struct mm__frame *head;
	uint32_t count;
};

/* Used by its thread, or by a thread that has interrupted it. */
struct mm__frame_cache {
	struct mm__frame_list loaded;
	struct mm__frame *full; /* batches */
	unsigned int nr_full;
	_Atomic(uint64_t) count; /* of frames in the whole cache; any thread may read it */
};

struct mm__thread;

struct mm__frames {
	/* Some frames are or were shared memory, which is freed later than it is unmapped. */
	_Atomic(bool) shared;
	_Alignas(128) pthread_mutex_t lock; /* the depot's lock, which guards all fields below */
	struct mm__frame *batches;
	struct mm__frame_chunk *chunks;
	uint64_t nr_free;   /* frames in the depot */
	uint64_t nr_frames; /* frames in existence */
	uint64_t max_frames;
	uint64_t users; /* address spaces and objects of shared memory */
	uint64_t spaces;
	struct mm__thread *threads; /* with the attach lock: those with caches of this pool */
};

/* Makes a pool with one user. NULL: no memory. */
struct mm__frames *mm__frames_create(uint64_t max_frames);
void mm__frames_get(struct mm__frames *pool);
/* Drops a user; the last one frees the pool. False: there are other users. */
bool mm__frames_put(struct mm__frames *pool);
/* A space begins or ends; it is a user of the pool meanwhile. Returns the number of spaces now. */
uint64_t mm__frames_add_space(struct mm__frames *pool);
uint64_t mm__frames_remove_space(struct mm__frames *pool);

/* A frame full of zeroes with one reference. NULL: the cache is empty. */
struct mm__frame *mm__frame_cache_get(struct mm__frame_cache *cache);

/*
 * Puts a frame without references into the cache. False: there is no room; see
 * mm__frame_cache_make_room().
 */
bool mm__frame_cache_put(struct mm__frame_cache *cache, struct mm__frame *frame);
/*
 * Takes a batch from the depot, whose lock is held, if the loaded magazine is empty. False: the
 * depot is empty, too.
 */
bool mm__frame_cache_load(struct mm__frames *pool, struct mm__frame_cache *cache);
/* Gives the loaded magazine to the depot, whose lock is held. */
void mm__frame_cache_make_room(struct mm__frames *pool, struct mm__frame_cache *cache);
/* Gives all frames of the cache to the depot, whose lock is held. */
void mm__frame_cache_empty(struct mm__frames *pool, struct mm__frame_cache *cache);
/* The number of frames in the cache. Any thread may call it. */
static inline uint64_t mm__frame_cache_count(const struct mm__frame_cache *cache)
{
	return atomic_load_explicit(&cache->count, memory_order_relaxed);
}

/* The depot's lock. */
void mm__frames_lock(struct mm__frames *pool);
void mm__frames_unlock(struct mm__frames *pool);
/*
 * Makes new frames if the depot, whose lock is held, is empty. The first access to them may take as
 * long as the system needs to clear a huge page.
 */
void mm__frames_stock(struct mm__frames *pool);
/* Takes a free frame, or a new one, as mm__frame_cache_get(). The depot's lock is held. */
struct mm__frame *mm__frames_take_one(struct mm__frames *pool);
/* Makes the list, which may be empty, a batch in the depot. The depot's lock is held. */
void mm__frames_give(struct mm__frames *pool, struct mm__frame_list *list);

/* As mm__frame_cache_get(), for rare operations that have no cache. NULL: no frame is free. */
struct mm__frame *mm__frame_take(struct mm__frames *pool);

/* Takes a reference. Another reference, known to the caller, stays meanwhile. */
void mm__frame_get(struct mm__frame *frame);
/*
 * Drops a reference. True: it was the last one, and the caller has to put the frame into a cache of
 * its pool.
 */
bool mm__frame_drop(struct mm__frame *frame);

/*
 * Whether the caller's reference is the only one. If so, it sees the accesses of earlier holders.
 */
static inline bool mm__frame_exclusive(struct mm__frame *frame)
{
	/* acquire: pairs with the release in mm__frame_drop() */
	return atomic_load_explicit(&frame->refs, memory_order_acquire) == 1;
}

/*
 * Frames come from the system in chunks that are aligned to their size. The descriptions of the
 * frames lie at the beginning of their chunk. So masking finds the one from the other.
 */
#define MM__CHUNK_SIZE   ((uintptr_t)1 << 21)
#define MM__CHUNK_HEADER 4u /* pages */
#define MM__CHUNK_FRAMES 508u

struct mm__frame_chunk {
	struct mm__frames *pool;
	struct mm__frame_chunk *next;
	uint32_t count;
	/*
	 * Aligned to a line. A thread gets one batch of a new chunk, and a batch ends with a line.
	 */
	_Alignas(64) struct mm__frame frame[MM__CHUNK_FRAMES];
};

static inline struct mm__frame_chunk *mm__frame_chunk(const void *memory)
{
	return (struct mm__frame_chunk *)((uintptr_t)memory & ~(MM__CHUNK_SIZE - 1));
}

static inline void *mm__frame_bytes(const struct mm__frame *frame)
{
	struct mm__frame_chunk *chunk = mm__frame_chunk(frame);

	return (char *)chunk +
	       ((uintptr_t)(frame - chunk->frame) + MM__CHUNK_HEADER) * (uintptr_t)MM_PAGE_SIZE;
}

/* The frame that has these bytes. */
static inline struct mm__frame *mm__frame_of(const void *bytes)
{
	struct mm__frame_chunk *chunk = mm__frame_chunk(bytes);

	return &chunk->frame[(((uintptr_t)bytes & (MM__CHUNK_SIZE - 1)) >> MM_PAGE_SHIFT) -
			     MM__CHUNK_HEADER];
}

static inline struct mm__frames *mm__frame_pool(const struct mm__frame *frame)
{
	return mm__frame_chunk(frame)->pool;
}

#define MM__LINE_SHIFT 6u

/* Call it after writing length bytes at offset. */
static inline void mm__frame_dirtied(struct mm__frame *frame, unsigned int offset,
				     unsigned int length)
{
	unsigned int first = offset >> MM__LINE_SHIFT;
	unsigned int last = (offset + length - 1) >> MM__LINE_SHIFT;
	uint64_t lines = (UINT64_MAX << first) & (UINT64_MAX >> (63 - last));

	/*
	 * relaxed: the thread that zeroes the frame drops its last reference first, and so sees all
	 * earlier accesses
	 */
	if (lines & ~atomic_load_explicit(&frame->dirty, memory_order_relaxed))
		atomic_fetch_or_explicit(&frame->dirty, lines, memory_order_relaxed);
}

static inline void mm__frame_list_add(struct mm__frame_list *list, struct mm__frame *frame)
{
	frame->next = list->head;
	list->head = frame;
	list->count++;
}

static inline struct mm__frame *mm__frame_list_take(struct mm__frame_list *list)
{
	struct mm__frame *frame = list->head;

	if (frame) {
		list->head = frame->next;
		list->count--;
	}
	return frame;
}

/* The number of frames outside the depot, with its lock held. */
uint64_t mm__frames_handed_out(struct mm__frames *pool);

/*
 * Checking, at a quiet moment: begin, then see each reference, then end. The last one returns
 * whether no frame has fewer references than were seen, and, if all_seen, none has more.
 */
void mm__frames_check_begin(struct mm__frames *pool);
/* False: the frame does not belong to the pool, or it is free. */
bool mm__frames_check_see(struct mm__frames *pool, struct mm__frame *frame);
bool mm__frames_check_end(struct mm__frames *pool, bool all_seen);

#endif
