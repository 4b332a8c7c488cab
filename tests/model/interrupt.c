/* SPDX-License-Identifier: MIT */
/*
 * A thread uses its TLB, ENTRIES times, while another thread flushes a page out of it, and then
 * uses the frame itself. TLB and frame are plain memory here, so that a missing order on either
 * side shows as a race, which is an error.
 */
#include "mm.h"

#ifndef ENTRIES
#define ENTRIES 2
#endif

enum { USER = 1, FLUSHER };

static int frame;

static void *user(void *arg)
{
	struct mm__thread *thread = &model_threads[USER];

	(void)arg;
	for (int i = 0; i < ENTRIES; i++) {
		mm__thread_enter(thread);
		if (thread->tlb[0].page)
			frame++;
		mm__thread_leave(thread);
	}
	return NULL;
}

static void flush(void)
{
	struct mm__thread_set set = { .all = false };

	mm__thread_set_add(&set, USER);
	mm__tlb_flush(&model_mm, &model_threads[FLUSHER], &set, MODEL_HERE,
		      MODEL_HERE + MM_PAGE_SIZE);
	frame = -1;
}

int main(void)
{
	pthread_t thread;

	model_init();
	model_translate(USER, MODEL_HERE, 1);
	start(user, &thread);
	flush();
	finish(thread);
	assert(frame == -1);
	return 0;
}
