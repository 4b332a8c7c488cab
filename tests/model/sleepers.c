/* SPDX-License-Identifier: MIT */
/*
 * Three threads lock and unlock a leaf, and sleep on its word. The compare-and-swaps of the last
 * thread fail until it takes the word by exchange.
 */
#include "sources.h"

#ifndef THREADS
#define THREADS 3
#endif

static int data;

static void *use(void *arg)
{
	model_self = (uintptr_t)arg;
	if ((uintptr_t)arg == THREADS)
		model_bad_luck = LOCK_SWAPS;
	range__leaf_lock(&model_lock.root);
	data++;
	range__leaf_unlock(&model_lock.root, NULL);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS + 1];

	init_lock();
	start(use, threads, 1, THREADS);
	finish(threads, 1, THREADS);
	assert(data == THREADS);
	check_quiet();
	return 0;
}
