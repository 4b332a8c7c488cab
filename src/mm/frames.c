/* SPDX-License-Identifier: MIT */
/*
 * Frames come from the system in chunks that are aligned to their size, so that the chunk of a
 * frame is found by masking; a chunk's first page is its header. Chunks are kept until
 * mm__frames_destroy().
 */
#include "frames.h"

#include <mmrange/mm.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_SIZE   ((size_t)MM_PAGE_SIZE)
#define CHUNK_FRAMES 63u
#define CHUNK_SIZE   ((CHUNK_FRAMES + 1) * FRAME_SIZE)
#define FRAME_BATCH  64u
/* With more free frames than this, a shard gives batches to the depot. */
#define SHARD_FRAMES (3 * FRAME_BATCH)

struct mm__frame_chunk {
	const struct mm__frames *owner;
	struct mm__frame_chunk *next;
	unsigned int count;
	uint64_t seen; /* for checking: bit i is frame i */
};

/* Threads are numbered as they come, for all address spaces together. */
static unsigned int thread_number(void)
{
	static _Atomic(unsigned int) next = 1;
	static _Thread_local unsigned int mine;

	if (!mine)
		mine = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
	return mine;
}

static struct mm__shard *my_shard(struct mm__frames *frames)
{
	return &frames->shards[thread_number() % MM__SHARDS];
}

int mm__frames_init(struct mm__frames *frames, uint64_t max_frames)
{
	unsigned int made = 0;

	memset(frames, 0, sizeof(*frames));
	frames->max_frames = max_frames;
	if (pthread_mutex_init(&frames->depot_lock, NULL))
		return ENOMEM;
	while (made < MM__SHARDS && !pthread_mutex_init(&frames->shards[made].lock, NULL))
		made++;
	if (made == MM__SHARDS)
		return 0;
	while (made--)
		pthread_mutex_destroy(&frames->shards[made].lock);
	pthread_mutex_destroy(&frames->depot_lock);
	return ENOMEM;
}

void mm__frames_destroy(struct mm__frames *frames)
{
	while (frames->chunks) {
		struct mm__frame_chunk *chunk = frames->chunks;

		frames->chunks = chunk->next;
		free(chunk);
	}
	for (unsigned int i = 0; i < MM__SHARDS; i++)
		pthread_mutex_destroy(&frames->shards[i].lock);
	pthread_mutex_destroy(&frames->depot_lock);
}

static void *chunk_frame(struct mm__frame_chunk *chunk, unsigned int i)
{
	return (char *)chunk + (i + 1) * FRAME_SIZE;
}

/* With the shard's lock held. */
static void push(struct mm__shard *shard, struct mm__frame *frame)
{
	frame->next = shard->free;
	shard->free = frame;
	shard->nr_free++;
}

/* With the shard's lock held. NULL: it has none. */
static struct mm__frame *pop(struct mm__shard *shard)
{
	struct mm__frame *frame = shard->free;

	if (frame) {
		shard->free = frame->next;
		shard->nr_free--;
	}
	return frame;
}

/*
 * Makes new frames and gives all but one to the shard; with the depot's and the shard's lock held.
 */
static struct mm__frame *new_chunk(struct mm__frames *frames, struct mm__shard *shard)
{
	uint64_t room = frames->max_frames - frames->nr_frames;
	struct mm__frame_chunk *chunk;
	void *memory;

	if (!room || posix_memalign(&memory, CHUNK_SIZE, CHUNK_SIZE))
		return NULL;
	chunk = memory;
	chunk->owner = frames;
	chunk->count = room < CHUNK_FRAMES ? (unsigned int)room : CHUNK_FRAMES;
	chunk->next = frames->chunks;
	frames->chunks = chunk;
	frames->nr_frames += chunk->count;
	for (unsigned int i = chunk->count; --i;)
		push(shard, chunk_frame(chunk, i));
	return chunk_frame(chunk, 0);
}

/* Takes a batch out of the depot, and gives all but one to the shard; with both locks held. */
static struct mm__frame *take_batch(struct mm__frames *frames, struct mm__shard *shard)
{
	struct mm__frame *first = frames->batches;
	struct mm__frame *last = first;

	if (!first)
		return NULL;
	frames->batches = first->next_batch;
	frames->nr_batches--;
	while (last->next)
		last = last->next;
	last->next = shard->free;
	shard->free = first->next;
	shard->nr_free += FRAME_BATCH - 1;
	return first;
}

/*
 * The last resort, with the depot's lock held: a frame that any shard has, if there is one at this
 * moment.
 */
static struct mm__frame *take_anywhere(struct mm__frames *frames)
{
	struct mm__frame *frame = NULL;

	for (unsigned int i = 0; i < MM__SHARDS; i++)
		pthread_mutex_lock(&frames->shards[i].lock);
	for (unsigned int i = 0; i < MM__SHARDS && !frame; i++)
		frame = pop(&frames->shards[i]);
	for (unsigned int i = 0; i < MM__SHARDS; i++)
		pthread_mutex_unlock(&frames->shards[i].lock);
	return frame;
}

/* The shard had none. */
static struct mm__frame *alloc_slow(struct mm__frames *frames, struct mm__shard *shard)
{
	struct mm__frame *frame;

	pthread_mutex_lock(&frames->depot_lock);
	pthread_mutex_lock(&shard->lock);
	frame = take_batch(frames, shard);
	if (!frame)
		frame = new_chunk(frames, shard);
	pthread_mutex_unlock(&shard->lock);
	if (!frame)
		frame = take_anywhere(frames);
	pthread_mutex_unlock(&frames->depot_lock);
	return frame;
}

void *mm__frame_alloc(struct mm__frames *frames)
{
	struct mm__shard *shard = my_shard(frames);
	struct mm__frame *frame;

	pthread_mutex_lock(&shard->lock);
	frame = pop(shard);
	pthread_mutex_unlock(&shard->lock);
	if (!frame)
		frame = alloc_slow(frames, shard);
	return frame ? memset(frame, 0, FRAME_SIZE) : NULL;
}

/* Moves one batch from the shard to the depot; with both locks held. */
static void give_batch(struct mm__frames *frames, struct mm__shard *shard)
{
	struct mm__frame *first = shard->free;
	struct mm__frame *last = first;

	for (unsigned int i = 1; i < FRAME_BATCH; i++)
		last = last->next;
	shard->free = last->next;
	shard->nr_free -= FRAME_BATCH;
	last->next = NULL;
	first->next_batch = frames->batches;
	frames->batches = first;
	frames->nr_batches++;
}

/* The shard had too many. */
static void give_batches(struct mm__frames *frames, struct mm__shard *shard)
{
	pthread_mutex_lock(&frames->depot_lock);
	pthread_mutex_lock(&shard->lock);
	while (shard->nr_free >= 2 * FRAME_BATCH)
		give_batch(frames, shard);
	pthread_mutex_unlock(&shard->lock);
	pthread_mutex_unlock(&frames->depot_lock);
}

void mm__frame_list_add(struct mm__frame_list *list, void *frame)
{
	struct mm__frame *first = frame;

	first->next = list->head;
	list->head = first;
	if (!list->tail)
		list->tail = first;
	list->count++;
}

void mm__frame_list_free(struct mm__frames *frames, struct mm__frame_list *list)
{
	struct mm__shard *shard = my_shard(frames);
	bool full;

	if (!list->head)
		return;
	pthread_mutex_lock(&shard->lock);
	list->tail->next = shard->free;
	shard->free = list->head;
	shard->nr_free += list->count;
	full = shard->nr_free > SHARD_FRAMES;
	pthread_mutex_unlock(&shard->lock);
	if (full)
		give_batches(frames, shard);
	*list = (struct mm__frame_list){ NULL, NULL, 0 };
}

void mm__frame_free(struct mm__frames *frames, void *frame)
{
	struct mm__frame_list list = { NULL, NULL, 0 };

	mm__frame_list_add(&list, frame);
	mm__frame_list_free(frames, &list);
}

uint64_t mm__frames_used(struct mm__frames *frames)
{
	uint64_t unused;
	uint64_t used;

	pthread_mutex_lock(&frames->depot_lock);
	unused = frames->nr_batches * FRAME_BATCH;
	for (unsigned int i = 0; i < MM__SHARDS; i++)
		pthread_mutex_lock(&frames->shards[i].lock);
	for (unsigned int i = 0; i < MM__SHARDS; i++)
		unused += frames->shards[i].nr_free;
	for (unsigned int i = 0; i < MM__SHARDS; i++)
		pthread_mutex_unlock(&frames->shards[i].lock);
	used = frames->nr_frames - unused;
	pthread_mutex_unlock(&frames->depot_lock);
	return used;
}

void mm__count_event(struct mm__frames *frames, enum mm__event event)
{
	atomic_fetch_add_explicit(&my_shard(frames)->events[event], 1, memory_order_relaxed);
}

uint64_t mm__events(struct mm__frames *frames, enum mm__event event)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < MM__SHARDS; i++)
		sum += atomic_load_explicit(&frames->shards[i].events[event], memory_order_relaxed);
	return sum;
}

/*
 * Checking
 */

void mm__frames_check_begin(struct mm__frames *frames)
{
	for (struct mm__frame_chunk *chunk = frames->chunks; chunk; chunk = chunk->next)
		chunk->seen = 0;
}

bool mm__frames_check_see(struct mm__frames *frames, void *frame)
{
	uintptr_t offset = (uintptr_t)frame % CHUNK_SIZE;
	struct mm__frame_chunk *chunk = (void *)((char *)frame - offset);
	uintptr_t i = offset / FRAME_SIZE - 1; /* wraps for the header: then out of bounds */

	if (chunk->owner != frames || offset % FRAME_SIZE || i >= chunk->count ||
	    chunk->seen >> i & 1)
		return false;
	chunk->seen |= UINT64_C(1) << i;
	return true;
}

static bool see_list(struct mm__frames *frames, struct mm__frame *frame, uint64_t count)
{
	for (; frame && count; frame = frame->next, count--)
		if (!mm__frames_check_see(frames, frame))
			return false;
	return !frame && !count;
}

bool mm__frames_check_end(struct mm__frames *frames)
{
	uint64_t nr_batches = 0;
	uint64_t nr_frames = 0;

	for (unsigned int i = 0; i < MM__SHARDS; i++)
		if (!see_list(frames, frames->shards[i].free, frames->shards[i].nr_free))
			return false;
	for (struct mm__frame *batch = frames->batches; batch; batch = batch->next_batch) {
		if (!see_list(frames, batch, FRAME_BATCH))
			return false;
		nr_batches++;
	}
	for (struct mm__frame_chunk *chunk = frames->chunks; chunk; chunk = chunk->next) {
		if (chunk->seen != (UINT64_C(1) << chunk->count) - 1)
			return false;
		nr_frames += chunk->count;
	}
	return nr_batches == frames->nr_batches && nr_frames == frames->nr_frames;
}
