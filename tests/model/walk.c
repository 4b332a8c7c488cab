/* SPDX-License-Identifier: MIT */
/*
 * A thread puts a new page in. A second thread finds it by a fault. A third thread finds it,
 * without any lock, once the page may be in all TLBs. A thread that can read the page sees it
 * cleared. Plain stores clear the page, so a race in it is an error.
 */
#include "mm.h"

enum { MAKER = 1, FAULTER, WALKER };

static void *maker(void *arg)
{
	(void)arg;
	model_serve(MAKER, MODEL_HERE, MM_PROT_WRITE, false);
	return NULL;
}

static void *faulter(void *arg)
{
	(void)arg;
	model_serve(FAULTER, MODEL_HERE, MM_PROT_READ, false);
	return NULL;
}

int main(void)
{
	struct mm__frame_chunk *chunk;
	struct copy copy = { NULL, NULL, sizeof(uint64_t) };
	uint64_t value = 1;
	uint64_t entry;
	pthread_t threads[2];

	model_init();
	/* No thread is interrupted here, so light fences can be nothing. */
	mmrange__fence_is_heavy = true;
	chunk = model_chunk(&model_pool);
	for (unsigned int i = MAKER; i <= FAULTER; i++) {
		struct mm__frame *frame = model_frame(chunk, i, 0);
		uint64_t *bytes = mm__frame_bytes(frame);

		*bytes = 2;
		mm__frame_list_add(&model_threads[i].cache.loaded, frame);
	}
	model_map(MODEL_HERE, MM_PROT_READ | MM_PROT_WRITE, NULL);
	start(maker, &threads[0]);
	start(faulter, &threads[1]);
	copy.to = &value;
	if (model_serve(WALKER, MODEL_HERE, MM_PROT_READ, true) &&
	    try_copy(&model_threads[WALKER], MODEL_HERE, &copy, MM_PROT_READ, &entry) == COPIED)
		assert(value == 0);
	finish(threads[0]);
	finish(threads[1]);
	return 0;
}
