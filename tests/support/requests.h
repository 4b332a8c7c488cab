/* SPDX-License-Identifier: MIT */
/*
 * Requests of range_lock_async() that count their callbacks.
 */
#ifndef TESTS_REQUESTS_H
#define TESTS_REQUESTS_H

#include "actors.h"

#include <errno.h>

struct request {
	struct range_lock *lock;
	struct range_hold range;
	atomic_uint calls;
	int error;
	pthread_t thread;                      /* that called the callback */
	unsigned int turn;                     /* of the callback, among all of the process */
	void (*then)(struct request *request); /* what the callback does; NULL: nothing */
	struct request *other;                 /* for then */
};

static atomic_uint request_turns;

static inline void request_ended(int error, void *arg)
{
	struct request *request = arg;

	request->error = error;
	request->thread = pthread_self();
	request->turn = atomic_fetch_add(&request_turns, 1);
	atomic_fetch_add(&request->calls, 1);
	if (request->then)
		request->then(request);
}

static inline void request_init(struct request *request, struct range_lock *lock)
{
	*request = (struct request){ .lock = lock };
}

/* Also for a request that has ended. */
static inline int request_begin(struct request *request, uint64_t start, uint64_t end,
				enum range_mode mode)
{
	return range_lock_async(request->lock, &request->range, start, end, mode, request_ended,
				request);
}

/* A new request that has to wait. */
static inline void request_queue(struct request *request, struct range_lock *lock, uint64_t start,
				 uint64_t end, enum range_mode mode)
{
	request_init(request, lock);
	CHECK_EQ(request_begin(request, start, end, mode), EINPROGRESS);
	CHECK_EQ(atomic_load(&request->calls), 0);
}

static inline bool request_waits(struct request *request)
{
	return atomic_load(&request->calls) == 0;
}

/* The callback was called once, by now. */
static inline void request_check_ended(struct request *request, int error)
{
	CHECK_EQ(atomic_load(&request->calls), 1);
	CHECK_EQ(request->error, error);
}

/* It was granted, once: releases it. */
static inline void request_release(struct request *request)
{
	request_check_ended(request, 0);
	range_unlock(request->lock, &request->range);
}

static inline void request_unlock(struct request *request)
{
	CHECK_EQ(request->error, 0);
	range_unlock(request->lock, &request->range);
}

#endif
