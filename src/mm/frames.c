/* SPDX-License-Identifier: MIT */
/*
 * A pool keeps its chunks until it is destroyed.
 */
#include "frames.h"

#include "../platform/platform.h"
#include "bytes.h"
#include "lock.h"
#include "memory.h"

#include <stddef.h>
#include <string.h>

/*
 * A chunk makes two batches. A magazine holds one batch. A thread keeps at most MAX_FULL full
 * magazines, which are 63 MiB.
 */
#define BATCH    (MM__CHUNK_FRAMES / 2)
#define MAX_FULL 63u

_Static_assert(sizeof(struct mm__frame_chunk) <= MM__CHUNK_HEADER * MM_PAGE_SIZE &&
		       (MM__CHUNK_HEADER + MM__CHUNK_FRAMES) * MM_PAGE_SIZE == MM__CHUNK_SIZE,
	       "a chunk is a header and its frames");
/* A thread writes to the struct mm__frame of its frames. */
_Static_assert(offsetof(struct mm__frame_chunk, frame) % 64 == 0 &&
		       BATCH * sizeof(struct mm__frame) % 64 == 0,
	       "no line is of two batches");

struct mm__frames *mm__frames_create(uint64_t max_frames)
{
	struct mm__frames *pool = mm__allocate(_Alignof(struct mm__frames), sizeof(*pool));

	if (!pool)
		return NULL;
	memset(pool, 0, sizeof(*pool));
	if (pthread_mutex_init(&pool->lock, NULL)) {
		mm__free(pool);
		return NULL;
	}
	pool->max_frames = max_frames;
	pool->users = 1;
	return pool;
}

void mm__frames_get(struct mm__frames *pool)
{
	mm__frames_lock(pool);
	pool->users++;
	mm__frames_unlock(pool);
}

static uint64_t change_spaces(struct mm__frames *pool, uint64_t by)
{
	uint64_t spaces;

	mm__frames_lock(pool);
	spaces = pool->spaces += by;
	mm__frames_unlock(pool);
	return spaces;
}

uint64_t mm__frames_add_space(struct mm__frames *pool)
{
	return change_spaces(pool, 1);
}

uint64_t mm__frames_remove_space(struct mm__frames *pool)
{
	return change_spaces(pool, UINT64_MAX);
}

bool mm__frames_put(struct mm__frames *pool)
{
	bool last;

	mm__frames_lock(pool);
	last = !--pool->users;
	mm__frames_unlock(pool);
	if (!last)
		return false;
	mm__check(pool->nr_free == pool->nr_frames, "frames are lost");
	while (pool->chunks) {
		struct mm__frame_chunk *chunk = pool->chunks;

		pool->chunks = chunk->next;
		mm__free(chunk);
	}
	pthread_mutex_destroy(&pool->lock);
	mm__free(pool);
	return true;
}

/*
 * Zeroes the lines that are not zero, and gives the frame one reference. A fault may still be
 * copying the old contents of the frame, and will throw its copy away.
 */
static struct mm__frame *hand_out(struct mm__frame *frame)
{
	/* relaxed: no other thread has a reference */
	uint64_t dirty = atomic_load_explicit(&frame->dirty, memory_order_relaxed);
	char *bytes = mm__frame_bytes(frame);

	for (uint64_t rest = dirty; rest; rest &= rest - 1)
		mm__bytes_zero(bytes + ((size_t)__builtin_ctzll(rest) << MM__LINE_SHIFT),
			       1u << MM__LINE_SHIFT);
	if (dirty)
		atomic_store_explicit(&frame->dirty, 0, memory_order_relaxed);
	mm__check(!atomic_load_explicit(&frame->refs, memory_order_relaxed),
		  "a frame is handed out that is in use");
	atomic_store_explicit(&frame->refs, 1, memory_order_relaxed);
	return frame;
}

/*
 * Batches. The first frame of a batch has the number of its frames.
 */

static void push_batch(struct mm__frame **batches, struct mm__frame_list *list)
{
	list->head->number = list->count;
	list->head->next_batch = *batches;
	*batches = list->head;
	*list = (struct mm__frame_list){ NULL, 0 };
}

static struct mm__frame_list pop_batch(struct mm__frame **batches)
{
	struct mm__frame *head = *batches;

	*batches = head->next_batch;
	return (struct mm__frame_list){ head, head->number };
}

/*
 * Prefetches the first line that has to be zeroed in the frame after the next one. Otherwise the
 * next atomic operation on a lock would wait for that line. It has to be the frame after the next
 * one, because a load from memory takes longer than the time between two faults.
 */
static void prefetch(const struct mm__frame_list *list)
{
	const struct mm__frame *frame = list->head ? list->head->next : NULL;
	uint64_t dirty = frame ? atomic_load_explicit(&frame->dirty, memory_order_relaxed) : 0;

	if (dirty)
		__builtin_prefetch((char *)mm__frame_bytes(frame) +
					   ((size_t)__builtin_ctzll(dirty) << MM__LINE_SHIFT),
				   1);
}

static void set_count(struct mm__frame_cache *cache, uint64_t count)
{
	/* relaxed: a thread that must see this count has synchronised with this thread otherwise */
	atomic_store_explicit(&cache->count, count, memory_order_relaxed);
}

struct mm__frame *mm__frame_cache_get(struct mm__frame_cache *cache)
{
	struct mm__frame *frame;

	if (!cache->loaded.head && cache->full) {
		cache->loaded = pop_batch(&cache->full);
		cache->nr_full--;
	}
	frame = mm__frame_list_take(&cache->loaded);
	if (!frame)
		return NULL;
	set_count(cache, mm__frame_cache_count(cache) - 1);
	prefetch(&cache->loaded);
	return hand_out(frame);
}

bool mm__frame_cache_put(struct mm__frame_cache *cache, struct mm__frame *frame)
{
	mm__check(!atomic_load_explicit(&frame->refs, memory_order_relaxed),
		  "a frame is freed that is in use");
	if (cache->loaded.count >= BATCH) {
		if (cache->nr_full == MAX_FULL)
			return false;
		push_batch(&cache->full, &cache->loaded);
		cache->nr_full++;
	}
	mm__frame_list_add(&cache->loaded, frame);
	set_count(cache, mm__frame_cache_count(cache) + 1);
	return true;
}

/*
 * The depot. Its lock is held.
 */

void mm__frames_give(struct mm__frames *pool, struct mm__frame_list *list)
{
	if (!list->head)
		return;
	pool->nr_free += list->count;
	push_batch(&pool->batches, list);
}

static bool take_batch(struct mm__frames *pool, struct mm__frame_list *list)
{
	if (!pool->batches)
		return false;
	*list = pop_batch(&pool->batches);
	pool->nr_free -= list->count;
	return true;
}

/* Makes new frames, and puts them into the depot. */
static void new_chunk(struct mm__frames *pool)
{
	uint64_t room = pool->max_frames - pool->nr_frames;
	struct mm__frame_list list = { NULL, 0 };
	struct mm__frame_chunk *chunk = room ? mm__allocate(MM__CHUNK_SIZE, MM__CHUNK_SIZE) : NULL;

	if (!chunk)
		return;
	/*
	 * A chunk is as large as a huge page, and is used from end to end. The pool may need only a
	 * few frames of its first chunk.
	 */
	if (pool->chunks)
		mmrange__want_huge_pages(chunk, MM__CHUNK_SIZE);
	chunk->pool = pool;
	chunk->count = room < MM__CHUNK_FRAMES ? (uint32_t)room : MM__CHUNK_FRAMES;
	chunk->next = pool->chunks;
	pool->chunks = chunk;
	pool->nr_frames += chunk->count;
	for (uint32_t i = chunk->count; i--;) {
		struct mm__frame *frame = &chunk->frame[i];

		memset(frame, 0, sizeof(*frame));
		/* The system may hand out used memory. */
		atomic_init(&frame->dirty, UINT64_MAX);
		atomic_init(&frame->refs, 0);
		mm__frame_list_add(&list, frame);
		if (i % BATCH == 0)
			mm__frames_give(pool, &list);
	}
}

void mm__frames_stock(struct mm__frames *pool)
{
	if (!pool->batches)
		new_chunk(pool);
}

struct mm__frame *mm__frames_take_one(struct mm__frames *pool)
{
	struct mm__frame_list list = { NULL, 0 };
	struct mm__frame *frame;

	mm__frames_stock(pool);
	if (!take_batch(pool, &list))
		return NULL;
	frame = mm__frame_list_take(&list);
	mm__frames_give(pool, &list);
	return hand_out(frame);
}

bool mm__frame_cache_load(struct mm__frames *pool, struct mm__frame_cache *cache)
{
	if (!cache->loaded.head && take_batch(pool, &cache->loaded))
		set_count(cache, mm__frame_cache_count(cache) + cache->loaded.count);
	return cache->loaded.head;
}

void mm__frame_cache_make_room(struct mm__frames *pool, struct mm__frame_cache *cache)
{
	set_count(cache, mm__frame_cache_count(cache) - cache->loaded.count);
	mm__frames_give(pool, &cache->loaded);
}

void mm__frame_cache_empty(struct mm__frames *pool, struct mm__frame_cache *cache)
{
	mm__frames_give(pool, &cache->loaded);
	while (cache->full) {
		struct mm__frame_list list = pop_batch(&cache->full);

		mm__frames_give(pool, &list);
	}
	cache->nr_full = 0;
	set_count(cache, 0);
}

/*
 * The depot's lock is not held.
 */

void mm__frames_lock(struct mm__frames *pool)
{
	mm__mutex_lock(&pool->lock, MM__ORDER_DEPOT);
}

void mm__frames_unlock(struct mm__frames *pool)
{
	mm__mutex_unlock(&pool->lock, MM__ORDER_DEPOT);
}

struct mm__frame *mm__frame_take(struct mm__frames *pool)
{
	struct mm__frame *frame;

	mm__frames_lock(pool);
	frame = mm__frames_take_one(pool);
	mm__frames_unlock(pool);
	return frame;
}

void mm__frame_get(struct mm__frame *frame)
{
	/* relaxed: another reference stays meanwhile */
	atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
}

bool mm__frame_drop(struct mm__frame *frame)
{
	mm__check(atomic_load_explicit(&frame->refs, memory_order_relaxed),
		  "a frame is freed that is free");
	if (mm__frame_exclusive(frame)) {
		/* relaxed: it was the only reference, and no thread can get another one from it */
		atomic_store_explicit(&frame->refs, 0, memory_order_relaxed);
		return true;
	}
	/*
	 * release: all accesses to the frame come before. acquire: the thread that drops the last
	 * reference sees them. Pairs with itself, and with mm__frame_exclusive().
	 */
	return atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel) == 1;
}

uint64_t mm__frames_handed_out(struct mm__frames *pool)
{
	return pool->nr_frames - pool->nr_free;
}

/*
 * Checking
 */

static uint32_t refs_of(const struct mm__frame *frame)
{
	return atomic_load_explicit(&frame->refs, memory_order_relaxed);
}

void mm__frames_check_begin(struct mm__frames *pool)
{
	for (struct mm__frame_chunk *chunk = pool->chunks; chunk; chunk = chunk->next)
		for (uint32_t i = 0; i < chunk->count; i++)
			/* In a free frame, number may be the size of its batch. */
			if (refs_of(&chunk->frame[i]))
				chunk->frame[i].number = 0;
}

bool mm__frames_check_see(struct mm__frames *pool, struct mm__frame *frame)
{
	const struct mm__frame_chunk *chunk = mm__frame_chunk(frame);

	if (chunk->pool != pool || frame < chunk->frame || frame >= chunk->frame + chunk->count ||
	    !refs_of(frame))
		return false;
	frame->number++;
	return true;
}

bool mm__frames_check_end(struct mm__frames *pool, bool all_seen)
{
	for (struct mm__frame_chunk *chunk = pool->chunks; chunk; chunk = chunk->next) {
		for (uint32_t i = 0; i < chunk->count; i++) {
			const struct mm__frame *frame = &chunk->frame[i];
			uint32_t refs = refs_of(frame);

			if (refs && (refs < frame->number || (all_seen && refs > frame->number)))
				return false;
		}
	}
	return true;
}
