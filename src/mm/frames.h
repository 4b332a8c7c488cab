/* SPDX-License-Identifier: MIT */
/*
 * frames - page-sized pieces of real memory, at most as many as were allowed.
 *
 * A pool of frames is shared by an address space and all its relatives by mm_fork(). Each thread has
 * a cache of free frames per address space, a magazine that it uses and some full ones (after Bonwick &
 * Adams, "Magazines and Vmem", 2001); more than those go to the pool's depot, and come from there. So in steady
 * state an allocation writes nothing that another thread writes. The number of frames in existence
 * is what is limited, so that the limit is exact without a common counter: whoever finds neither a
 * free frame nor room for new ones empties the caches of all threads, and sees whether there really
 * is none.
 *
 * A frame has a count of references: one for each entry of a page table that maps it, and if it is a
 * page of shared memory, one of that. At 0 it is free. It remembers which of its lines were written, and only those are
 * zeroed when it is handed out again: so a page costs what is done with it, and a fault is not mostly
 * the time to clear a page.
 *
 * What goes from the depot to a cache, or back, does so under the lock of the depot: so that who
 * holds that, and looks into all caches, misses nothing.
 */
#ifndef MM_FRAMES_H
#define MM_FRAMES_H

#include <mmrange/mm.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What is known of a frame; it lies apart from its bytes. */
struct mm__frame {
	_Atomic(uint64_t) dirty; /* bit i: the i-th 64 bytes may be other than 0 */
	_Atomic(uint32_t) refs;
	uint32_t number; /* head of a batch: its frames; while checking: references seen */
	struct mm__frame *next;
	struct mm__frame *next_batch;
};

struct mm__frame_chunk;

/* A list of frames: free ones, or such as lose a reference together. */
struct mm__frame_list {
	struct mm__frame *head;
	uint32_t count;
};

/* Used by one thread, or by one that has stopped it. */
struct mm__frame_cache {
	struct mm__frame_list loaded;
	struct mm__frame *full; /* batches */
	unsigned int nr_full;
	_Atomic(uint64_t) count; /* in all of them; any thread may read it */
};

struct mm__thread;

struct mm__frames {
	_Atomic(bool)
		shared; /* some are, or were, shared memory, which is freed later than unmapped */
	_Alignas(128) pthread_mutex_t lock; /* the depot's: all that follows */
	struct mm__frame *batches;
	struct mm__frame_chunk *chunks;
	uint64_t nr_free;   /* in batches */
	uint64_t nr_frames; /* in existence */
	uint64_t max_frames;
	uint64_t users; /* address spaces, and shared memory */
	uint64_t spaces;
	struct mm__thread *threads; /* with the attach lock: the threads that have caches of it */
};

/* NULL: no memory. With one user. */
struct mm__frames *mm__frames_create(uint64_t max_frames);
void mm__frames_get(struct mm__frames *pool);
/* The last one frees all. False: there are others. */
bool mm__frames_put(struct mm__frames *pool);
/* A space comes, or goes; it is a user meanwhile. Returns how many there are now. */
uint64_t mm__frames_add_space(struct mm__frames *pool);
uint64_t mm__frames_remove_space(struct mm__frames *pool);

/* A frame full of zeroes with one reference. NULL: the cache has none. */
struct mm__frame *mm__frame_cache_get(struct mm__frame_cache *cache);

/* Puts a frame without references in. False: there is no room; see mm__frame_cache_make_room(). */
bool mm__frame_cache_put(struct mm__frame_cache *cache, struct mm__frame *frame);
/* Takes a batch from the depot, whose lock is held, unless there is one. Returns whether there is. */
bool mm__frame_cache_load(struct mm__frames *pool, struct mm__frame_cache *cache);
/* Gives a full magazine to the depot, whose lock is held. */
void mm__frame_cache_make_room(struct mm__frames *pool, struct mm__frame_cache *cache);
/* Gives all to the depot, whose lock is held. */
void mm__frame_cache_empty(struct mm__frames *pool, struct mm__frame_cache *cache);
/* How many frames it has. Any thread may ask. */
static inline uint64_t mm__frame_cache_count(const struct mm__frame_cache *cache)
{
	return atomic_load_explicit(&cache->count, memory_order_relaxed);
}

/* The lock of the depot, for those two. */
void mm__frames_lock(struct mm__frames *pool);
void mm__frames_unlock(struct mm__frames *pool);
/* A batch of free frames, made if there are none; says whether. *list was empty. */
bool mm__frames_take(struct mm__frames *pool, struct mm__frame_list *list);
/* One of them, as mm__frame_cache_get(). */
struct mm__frame *mm__frames_take_one(struct mm__frames *pool);
/* The list, which may be empty, becomes a batch. */
void mm__frames_give(struct mm__frames *pool, struct mm__frame_list *list);

/* As mm__frame_cache_get(), for what happens rarely and has no cache. NULL: none. */
struct mm__frame *mm__frame_take(struct mm__frames *pool);

/* One reference more; the caller knows that there is one that stays meanwhile. */
void mm__frame_get(struct mm__frame *frame);
/* One less. True: that was the last, and the caller has to put the frame into a cache of its pool. */
bool mm__frame_drop(struct mm__frame *frame);
/* One less, and if it was the last, gives it to its pool. */
void mm__frame_put(struct mm__frame *frame);

/*
 * The checked build: these frames have no references, and no thread may have them in its TLB. Neither
 * the attach lock nor one below it is held.
 */
#ifdef MMRANGE_CHECKED
void mm__check_unreachable(struct mm__frames *pool, struct mm__frame *const *frames,
			   unsigned int n);
#else
static inline void mm__check_unreachable(struct mm__frames *pool, struct mm__frame *const *frames,
					 unsigned int n)
{
	(void)pool;
	(void)frames;
	(void)n;
}
#endif

/* Whether the caller's reference is the only one; if so, it sees what the others have done. */
static inline bool mm__frame_exclusive(struct mm__frame *frame)
{
	/* acquire: pairs with the release of mm__frame_drop() */
	return atomic_load_explicit(&frame->refs, memory_order_acquire) == 1;
}

/*
 * Frames come from the system in chunks that are aligned to their size. What is known of the frames
 * lies at the beginning of their chunk, so that one is found from the other by masking.
 */
#define MM__CHUNK_SIZE   ((uintptr_t)1 << 21)
#define MM__CHUNK_HEADER 4u /* pages */
#define MM__CHUNK_FRAMES 508u

struct mm__frame_chunk {
	struct mm__frames *pool;
	struct mm__frame_chunk *next;
	uint32_t count;
	/* On a line: a batch of a new chunk, which a thread gets, ends with a line, too. */
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

/* The frame of these bytes. */
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

/* To be called after length bytes at offset were written. */
static inline void mm__frame_dirtied(struct mm__frame *frame, unsigned int offset,
				     unsigned int length)
{
	unsigned int first = offset >> MM__LINE_SHIFT;
	unsigned int last = (offset + length - 1) >> MM__LINE_SHIFT;
	uint64_t lines = (UINT64_MAX << first) & (UINT64_MAX >> (63 - last));

	/* relaxed: who zeroes the frame has its last reference, and sees all that was done before */
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

/* Frames that are not in the depot; with its lock held. */
uint64_t mm__frames_handed_out(struct mm__frames *pool);

/*
 * Checking, at a quiet moment: begin, then see each reference, then end, which says whether no frame
 * has fewer references than were seen; or more, if all were seen.
 */
void mm__frames_check_begin(struct mm__frames *pool);
/* False: this is no frame of the pool's, or it is free. */
bool mm__frames_check_see(struct mm__frames *pool, struct mm__frame *frame);
bool mm__frames_check_end(struct mm__frames *pool, bool all_seen);

#endif
