/* SPDX-License-Identifier: MIT */
/*
 * frames - page-sized pieces of real memory, at most as many as were allowed.
 *
 * Threads are spread over shards, each with its own lock and its own free frames on its own cache
 * lines; what a shard has too much of goes to a common depot in batches, and comes from there in
 * batches. So in steady state an allocation writes nothing that another thread writes. The number
 * of frames in existence is what is limited, so that the limit is exact without a common counter:
 * whoever finds neither a free frame nor room for new ones takes the locks of all shards and looks
 * whether there really is none.
 *
 * The same shards hold the event counters of the address space.
 *
 * Lock order: the depot's, then the shards' in ascending order. They are innermost: nothing else is
 * taken under them.
 */
#ifndef MM_FRAMES_H
#define MM_FRAMES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Free, or being freed: in place of its bytes. */
struct mm__frame {
	struct mm__frame *next;
	struct mm__frame *next_batch;
};

/* Frames to be freed together. */
struct mm__frame_list {
	struct mm__frame *head;
	struct mm__frame *tail;
	unsigned int count;
};

enum mm__event {
	MM__FAULT_MINOR,
	MM__FAULT_PRESENT,
	MM__FAULT_FAILED,
	MM__TABLE_MADE,
	MM__NR_EVENTS
};

/*
 * Threads whose numbers differ by a multiple of this share a shard, and then write its lines both.
 * Fewer than 63, the locks that ThreadSanitizer can see held at once.
 */
#define MM__SHARDS 32u

struct mm__shard {
	_Alignas(128) pthread_mutex_t lock;
	struct mm__frame *free;
	unsigned int nr_free;
	_Atomic(uint64_t) events[MM__NR_EVENTS];
};

struct mm__frame_chunk;

struct mm__frames {
	struct mm__shard shards[MM__SHARDS];
	_Alignas(128) pthread_mutex_t depot_lock;
	struct mm__frame *batches; /* each of FRAME_BATCH frames */
	struct mm__frame_chunk *chunks;
	uint64_t nr_batches;
	uint64_t nr_frames; /* in existence */
	uint64_t max_frames;
};

/* 0 or ENOMEM. */
int mm__frames_init(struct mm__frames *frames, uint64_t max_frames);
void mm__frames_destroy(struct mm__frames *frames);

/* A frame full of zeroes; NULL when the limit is reached or there is no memory. */
void *mm__frame_alloc(struct mm__frames *frames);

void mm__frame_free(struct mm__frames *frames, void *frame);

/* The frame's bytes are lost at once; it is free for others after mm__frame_list_free(). */
void mm__frame_list_add(struct mm__frame_list *list, void *frame);
void mm__frame_list_free(struct mm__frames *frames, struct mm__frame_list *list);

/* Frames allocated and not freed. */
uint64_t mm__frames_used(struct mm__frames *frames);

void mm__count_event(struct mm__frames *frames, enum mm__event event);
uint64_t mm__events(struct mm__frames *frames, enum mm__event event);

/*
 * Checking, at a quiet moment: begin, then see each frame in use, then end. see() says whether this
 * is a frame that was not seen before; end(), whether all the others, and only they, are free.
 */
void mm__frames_check_begin(struct mm__frames *frames);
bool mm__frames_check_see(struct mm__frames *frames, void *frame);
bool mm__frames_check_end(struct mm__frames *frames);

#endif
