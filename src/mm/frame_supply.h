/* SPDX-License-Identifier: MIT */
/*
 * frame_supply - how threads get free frames and give frames back. Each thread has a cache of free
 * frames, which the depot of the pool fills and empties (frames.h). If the pool has none left, the
 * frames in the caches of all threads are collected.
 */
#ifndef MM_FRAME_SUPPLY_H
#define MM_FRAME_SUPPLY_H

#include "thread.h"

/* A frame full of zeroes with one reference. NULL: the thread's cache is empty. */
static inline struct mm__frame *mm__thread_frame(struct mm__thread *thread)
{
	struct mm__frame *frame;

	mm__thread_enter(thread);
	frame = mm__frame_cache_get(&thread->cache);
	mm__thread_leave(thread);
	return frame;
}

/*
 * Gets free frames for the thread from the pool or, if the pool has none, from all other threads. 0
 * or ENOMEM. May block. Not in an RCU read section.
 */
int mm__thread_refill(struct mm__thread *thread);
/* Gives the pool the frames of all threads that are free or wait to be freed. Blocks. */
void mm__thread_reclaim(struct mm__thread *thread);

/*
 * A frame full of zeroes. NULL: neither the pool nor its threads have a free one. Not in an RCU
 * read section.
 */
struct mm__frame *mm__pool_take_frame(struct mm__frames *pool);

/* Drops one reference of each of n frames. Overwrites the array. */
void mm__thread_drop_frames(struct mm__thread *thread, struct mm__frame **frames, unsigned int n);

/* Drops a reference. If it was the last one, gives the frame to its pool. */
void mm__frame_put(struct mm__frame *frame);

/* The number of frames of the pool in use. Exact if no thread uses the pool's spaces meanwhile. */
uint64_t mm__frames_used(struct mm__frames *pool);

#endif
