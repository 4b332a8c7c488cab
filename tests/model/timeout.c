/* SPDX-License-Identifier: MIT */
/*
 * A thread holds a range. A second thread waits for it until a deadline that may pass at any time.
 * With OTHER, a third thread waits behind it without a deadline. A thread that is granted the range
 * uses it alone. A thread that gives up leaves nothing behind, and passes on a wake-up that it may
 * have got.
 */
#include "sources.h"

#include <errno.h>

static int data;

static void use_and_release(void)
{
	data++;
	model_unlock();
}

static void *wait_for_a_while(void *arg)
{
	static const struct timespec deadline = { .tv_sec = 1 };
	int error;

	model_self = (uintptr_t)arg;
	error = wait_queued(&deadline);
	assert(error == 0 || error == ETIMEDOUT);
	if (!error)
		use_and_release();
	return NULL;
}

static void *wait_for_ever(void *arg)
{
	int error;

	model_self = (uintptr_t)arg;
	error = wait_queued(NULL);
	assert(!error);
	use_and_release();
	return NULL;
}

static void *pass_the_time(void *arg)
{
	model_deadline_passes();
	return arg;
}

int main(void)
{
	pthread_t threads[5];

	init_lock();
	model_self = 1;
	model_lock_range(model_range(), 0, 10, RANGE_WRITE);
	queue_up(2, RANGE_WRITE);
#ifdef OTHER
	queue_up(3, RANGE_WRITE);
	start(wait_for_ever, threads, 3, 3);
#else
	(void)wait_for_ever;
#endif
	start(wait_for_a_while, threads, 2, 2);
	start(pass_the_time, threads, 4, 4);
	use_and_release();
	finish(threads, 2, 2);
#ifdef OTHER
	finish(threads, 3, 3);
#endif
	finish(threads, 4, 4);
	check_quiet();
	return 0;
}
