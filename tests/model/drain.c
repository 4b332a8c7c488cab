/* SPDX-License-Identifier: MIT */
/*
 * A reader releases its range in a biased leaf. A writer that is granted the range then destroys
 * the lock and writes to its memory, as the next user of that memory would. So the reader may not
 * look at the leaf any more. UNDRAINED: destroy does not wait for slots.
 *
 * Time passes only when the reader has finished. Run with GENMC_OPTIONS=--unroll=4: the loads of a
 * slot before that are repeated as long as they return the same.
 */
#include "sources.h"

static int data;

static void enter(void *arg)
{
	model_self = (uintptr_t)arg;
	range__slots_own = group_at((unsigned int)(uintptr_t)arg - 1);
}

static void *reader(void *arg)
{
	enter(arg);
	assert(data >= 0);
	range_unlock(model_public(), model_range_of(1));
	model_deadline_passes();
	return NULL;
}

static void destroy(void)
{
#ifndef UNDRAINED
	int error = range__forest_destroy(&model_lock);

	assert(!error);
	(void)error;
#endif
	*(uint64_t *)(void *)&model_lock.root.word = 1;
}

int main(void)
{
	pthread_t threads[MODEL_THREADS + 1];

	init_lock();
	bias(&model_lock.root);
	atomic_init(&nr_used, 1);
	enter((void *)1);
	model_lock_range(model_range_of(1), 0, 10, RANGE_READ);
	start(reader, threads, 1, 1);
	enter((void *)2);
	if (!model_trylock(5, 15, RANGE_WRITE)) {
		data++;
		model_unlock();
		destroy();
	}
	finish(threads, 1, 1);
	return 0;
}
