/* SPDX-License-Identifier: MIT */
/*
 * Readers acquire ranges in a biased leaf, through slots, and a writer acquires one, too. The
 * ranges protect plain memory.
 *
 * READERS	the number of readers, each with slots of its own
 * RELEASED	the last reader acquires nothing: it releases the range that main() has published in
 *		the slots of thread 1
 * WAIT		the threads wait for each other; otherwise they only try
 */
#include "sources.h"

#ifndef READERS
#define READERS 1
#endif
static int data;

static void enter(void *arg)
{
	model_self = (uintptr_t)arg;
	range__slots_own = group_at((unsigned int)(uintptr_t)arg - 1);
}

static int acquire_range(uint64_t start, uint64_t end, enum range_mode mode)
{
#ifdef WAIT
	return range_lock(model_public(), model_range(), start, end, mode);
#else
	return model_trylock(start, end, mode);
#endif
}

static inline void *reader(void *arg)
{
	enter(arg);
	if (acquire_range(0, 10, RANGE_READ))
		return NULL;
	assert(data >= 0);
	model_unlock();
	return NULL;
}

#ifdef RELEASED
/* Releases the last range, which main() has published. */
static void *releaser(void *arg)
{
	enter(arg);
	assert(data >= 0);
	range_unlock(model_public(), model_range_of(MODEL_THREADS));
	return NULL;
}
#endif

static void *writer(void *arg)
{
	enter(arg);
	if (acquire_range(5, 15, RANGE_WRITE))
		return NULL;
	data++;
	model_unlock();
	return NULL;
}

int main(void)
{
	pthread_t threads[MODEL_THREADS + 1];

	init_lock();
	bias(&model_lock.root);
	atomic_init(&nr_used, READERS);
#ifdef RELEASED
	enter((void *)1);
	model_lock_range(model_range_of(MODEL_THREADS), 0, 10, RANGE_READ);
	start(reader, threads, 1, READERS - 1);
	start(releaser, threads, READERS, READERS);
#else
	start(reader, threads, 1, READERS);
#endif
	start(writer, threads, READERS + 1, READERS + 1);
	finish(threads, 1, READERS + 1);
	model_self = 1;
	range__leaf_lock(&model_lock.root);
	range__bias_revoke_leaf(&model_lock, &model_lock.root);
	range__leaf_unlock(&model_lock.root, NULL);
	check_quiet();
	return 0;
}
