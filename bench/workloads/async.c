/* SPDX-License-Identifier: MIT */
#include "async.h"
#include "worker.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 16 };

struct request {
	alignas(2 * CACHE_LINE) struct lock_node node;
	struct async_loop *loop;
	struct request *next; /* in a queue of the loop */
	unsigned int first;   /* slot */
	unsigned int slots;
	int error;
};

struct async_loop {
	/* Other threads push what they grant; the loop takes all of it. */
	alignas(2 * CACHE_LINE) _Atomic(struct request *) inbox;
	/* The loop's own. */
	alignas(2 * CACHE_LINE) struct request *ready;
	struct request **ready_end;
	struct worker *worker;
	bool (*begin)(struct request *request);
	uint64_t left;    /* pairs to begin */
	uint64_t running; /* pairs that have begun */
	uint32_t in_flight;
	bool failed;
	struct request requests[];
};

/* The loop that the thread runs; NULL outside. */
static _Thread_local struct async_loop *this_loop;

struct async_loop *async_loop_new(uint32_t in_flight)
{
	size_t size = sizeof(struct async_loop) + in_flight * sizeof(struct request);
	struct async_loop *loop = aligned_alloc(alignof(struct async_loop), size);
	uint32_t i;

	if (!loop)
		return NULL;
	memset(loop, 0, size);
	atomic_init(&loop->inbox, NULL);
	loop->in_flight = in_flight;
	loop->ready_end = &loop->ready;
	for (i = 0; i < in_flight; i++)
		loop->requests[i].loop = loop;
	return loop;
}

void async_loop_delete(struct async_loop *loop)
{
	free(loop);
}

static void make_ready(struct async_loop *loop, struct request *request)
{
	request->next = NULL;
	*loop->ready_end = request;
	loop->ready_end = &request->next;
}

/* From now on, the request is the loop's. */
static void push(struct async_loop *loop, struct request *request)
{
	/* relaxed: only compared and linked */
	struct request *top = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

	do
		request->next = top;
	/* release: pairs with take_inbox() */
	while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &top, request,
						      memory_order_release, memory_order_relaxed));
}

static void take_inbox(struct async_loop *loop)
{
	/* acquire: pairs with push() */
	struct request *request =
		atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);

	while (request) {
		struct request *next = request->next;

		make_ready(loop, request);
		request = next;
	}
}

/* The callback. */
static void granted(int error, void *arg)
{
	struct request *request = arg;
	struct async_loop *loop = request->loop;

	request->error = error;
	if (loop == this_loop)
		make_ready(loop, request);
	else
		push(loop, request);
}

static inline bool begin(struct request *request, uint64_t start, uint64_t end)
{
	const struct worker *worker = request->loop->worker;
	int error = worker->ops->lock_async(worker->lock, &request->node, start, end, RANGE_WRITE,
					    granted, request);

	if (error == EINPROGRESS)
		return true; /* the request may be the callback's already */
	if (error == 0)
		granted(0, request);
	return error == 0;
}

static bool begin_count(struct request *request)
{
	request->first = 0;
	request->slots = 1;
	return begin(request, 0, UINT64_MAX);
}

static bool begin_short(struct request *request)
{
	struct worker *worker = request->loop->worker;
	uint64_t random = worker_random(worker) >> 32;
	unsigned int first = (unsigned int)(random % worker->nr_slots);
	unsigned int slots = 1 + (unsigned int)(random / worker->nr_slots % LONGEST);

	request->first = first;
	request->slots = slots < worker->nr_slots - first ? slots : worker->nr_slots - first;
	return begin(request, first, first + request->slots);
}

static void begin_next(struct async_loop *loop, struct request *request)
{
	if (!loop->left)
		return;
	loop->left--;
	if (loop->begin(request))
		loop->running++;
	else
		loop->failed = true;
}

static void work(struct worker *worker, const struct request *request)
{
	unsigned int i;

	for (i = 0; i < request->slots; i++)
		worker->slots[request->first + i].value++;
	worker->increments += request->slots;
	worker->writes++;
}

static void go_on(struct async_loop *loop, struct request *request)
{
	struct worker *worker = loop->worker;

	loop->running--;
	if (request->error) {
		loop->failed = true;
		return;
	}
	work(worker, request);
	worker->ops->unlock(worker->lock, &request->node);
	begin_next(loop, request);
}

static struct request *next_ready(struct async_loop *loop)
{
	struct request *request;

	/* relaxed: take_inbox() synchronises */
	if (atomic_load_explicit(&loop->inbox, memory_order_relaxed))
		take_inbox(loop);
	request = loop->ready;
	if (!request)
		return NULL;
	loop->ready = request->next;
	if (!loop->ready)
		loop->ready_end = &loop->ready;
	return request;
}

static bool run(struct worker *worker, uint64_t pairs, bool (*begin_one)(struct request *request))
{
	struct async_loop *loop = worker->loop;
	uint32_t i;

	this_loop = loop;
	loop->worker = worker;
	loop->begin = begin_one;
	loop->left = pairs;
	for (i = 0; i < loop->in_flight; i++)
		begin_next(loop, &loop->requests[i]);
	while (loop->running) {
		struct request *request = next_ready(loop);

		if (request)
			go_on(loop, request);
		else
			sched_yield();
	}
	this_loop = NULL;
	return !loop->failed;
}

bool async_count(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, begin_count);
}

bool async_short(struct worker *worker, uint64_t pairs)
{
	return run(worker, pairs, begin_short);
}

bool async_parked(struct worker *worker, uint64_t pairs)
{
	const struct lock_ops *ops = worker->ops;

	worker->writes += pairs;
	worker->increments += pairs;
	while (pairs--) {
		if (ops->lock(worker->lock, &worker->node, 0, UINT64_MAX, RANGE_WRITE) != 0)
			return false;
		worker->slots[0].value++;
		ops->unlock(worker->lock, &worker->node);
	}
	return true;
}

/* Never called: nothing else uses the lock. */
static void unexpected(int error, void *arg)
{
	(void)error;
	(void)arg;
	abort();
}

bool uncontended_async(struct worker *worker, uint64_t pairs)
{
	const struct lock_ops *ops = worker->ops;
	void *lock = worker->lock;

	worker->writes += pairs;
	while (pairs--) {
		if (ops->lock_async(lock, &worker->node, 0, 1, RANGE_WRITE, unexpected, worker) !=
		    0)
			return false;
		ops->unlock(lock, &worker->node);
	}
	return true;
}
