/* SPDX-License-Identifier: MIT */
/*
 * Two threads acquire and release overlapping ranges, MODE1 and MODE2. The ranges protect plain
 * memory: a race in it is an error, as is one in the lock. With TRY the second thread does not
 * wait.
 */
#include "sources.h"

#ifndef MODE1
#define MODE1 RANGE_WRITE
#endif
#ifndef MODE2
#define MODE2 RANGE_WRITE
#endif

static int data;

static void use(enum range_mode mode)
{
	if (mode == RANGE_WRITE)
		data++;
	else
		assert(data >= 0);
}

static void *first(void *arg)
{
	model_self = (uintptr_t)arg;
	model_lock_range(model_range(), 0, 10, MODE1);
	use(MODE1);
	model_unlock();
	return NULL;
}

static void *second(void *arg)
{
	model_self = (uintptr_t)arg;
#ifdef TRY
	if (model_trylock(5, 15, MODE2))
		return NULL;
#else
	model_lock_range(model_range(), 5, 15, MODE2);
#endif
	use(MODE2);
	model_unlock();
	return NULL;
}

int main(void)
{
	pthread_t threads[3];

	init_lock();
	start(first, threads, 1, 1);
	start(second, threads, 2, 2);
	finish(threads, 1, 2);
	check_quiet();
	return 0;
}
