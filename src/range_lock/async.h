/* SPDX-License-Identifier: MIT */
/*
 * async - looks after the requests that a thread has made way for, and calls their callbacks.
 */
#ifndef RANGE_LOCK_ASYNC_H
#define RANGE_LOCK_ASYNC_H

#include "deadlock.h"
#include "request.h"

/* Looks after all requests on the thread's list. With nothing locked. */
void range__async_work(void);

/*
 * At the end of a call that may have made requests due: the thread touches neither the lock nor
 * the range any more. If a callback made the call, the loop that called it goes on with them.
 */
static inline void range__async_run(void)
{
	range__deadlock_run();
	if (range__due.first && !range__due.busy)
		range__async_work();
}

/* The thread is about to park: [ASYNC-4] holds also in a callback. */
static inline void range__async_run_before_parking(void)
{
	range__deadlock_run();
	if (range__due.first)
		range__async_work();
}

#endif
