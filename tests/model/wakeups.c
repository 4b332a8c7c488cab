/* SPDX-License-Identifier: MIT */
/*
 * A thread holds a range, and one or two other threads wait for it, QUEUED. A newcomer may arrive
 * when it is released. Each thread gets the range, and has it alone.
 */
#include "sources.h"

#ifndef QUEUED
#define QUEUED 1
#endif
#ifndef MODE
#define MODE RANGE_WRITE
#endif

static int data;

static void use_and_release(void)
{
	struct range_hold *range = model_range();

	if (range->mode == RANGE_WRITE)
		data++;
	else
		assert(data > 0);
	model_unlock();
}

static void *queued(void *arg)
{
	int error;

	model_self = (uintptr_t)arg;
	error = wait_queued(NULL);
	assert(!error);
	use_and_release();
	return NULL;
}

static void *newcomer(void *arg)
{
	model_self = (uintptr_t)arg;
	model_lock_range(model_range(), 0, 10, MODE);
	use_and_release();
	return NULL;
}

int main(void)
{
	pthread_t threads[4];

	init_lock();
	model_self = 1;
	model_lock_range(model_range(), 0, 10, RANGE_WRITE);
	for (uintptr_t i = 2; i < 2 + QUEUED; i++)
		queue_up(i, i == 2 ? RANGE_WRITE : MODE);
	start(queued, threads, 2, 1 + QUEUED);
#ifdef NEWCOMER
	start(newcomer, threads, 2 + QUEUED, 2 + QUEUED);
	use_and_release();
	finish(threads, 2, 2 + QUEUED);
#else
	(void)newcomer;
	use_and_release();
	finish(threads, 2, 1 + QUEUED);
#endif
	check_quiet();
	return 0;
}
