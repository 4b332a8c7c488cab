/* SPDX-License-Identifier: MIT */
/*
 * Two relatives by fork map a frame. One has read it, and drops its reference. The other writes to
 * the frame in place if it has the only reference, or else drops its own, too. The thread that
 * drops the last reference reuses the frame. The bytes are plain memory: a race in them is an
 * error.
 */
#include "mm.h"

static struct mm__frame *frame;
static int reused;
static uint64_t seen;

static uint64_t *bytes(void)
{
	return mm__frame_bytes(frame);
}

static void drop_mine(void)
{
	if (!mm__frame_drop(frame))
		return;
	*bytes() = 0;
	reused++;
}

static void *child(void *arg)
{
	(void)arg;
	seen = *bytes();
	drop_mine();
	return NULL;
}

static void *parent(void *arg)
{
	(void)arg;
	if (mm__frame_exclusive(frame))
		*bytes() = 2;
	drop_mine();
	return NULL;
}

int main(void)
{
	struct mm__frame_chunk *chunk;
	pthread_t threads[2];

	model_init();
	chunk = model_chunk(&model_pool);
	frame = &chunk->frame[0];
	atomic_init(&frame->refs, 2);
	*bytes() = 1;
	start(child, &threads[0]);
	start(parent, &threads[1]);
	finish(threads[0]);
	finish(threads[1]);
	assert(seen == 1);
	assert(reused == 1 && !atomic_load_explicit(&frame->refs, memory_order_relaxed));
	return 0;
}
