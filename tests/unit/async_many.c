/* SPDX-License-Identifier: MIT */
/* Requests of several ranges, cancellation of requests, and what others see of them. */
#include "requests.h"

#include "platform/platform.h"

#include <string.h>

enum { HOWS = 4 };

static void begin(struct range_lock *lock, int how)
{
	init_lock(lock, fairnesses[how % 2], 64);
	if (how >= 2)
		make_leaves(lock, 6);
}

static void count_call(int error, void *arg)
{
	int *errors = arg;

	errors[0]++;
	errors[1] = error;
}

/* Three ranges that lie in one leaf each, or span leaves, given in any order. */
struct trio {
	struct range_hold ranges[3];
	struct range_request requests[3];
	int calls[2]; /* their number and the last error */
};

static int trio_begin(struct trio *trio, struct range_lock *lock)
{
	memset(trio->calls, 0, sizeof(trio->calls));
	trio->requests[0] = (struct range_request){ &trio->ranges[2], 35, 45, RANGE_READ };
	trio->requests[1] = (struct range_request){ &trio->ranges[0], 2, 4, RANGE_WRITE };
	trio->requests[2] = (struct range_request){ &trio->ranges[1], 15, 25, RANGE_WRITE };
	return range_lock_many_async(lock, trio->requests, 3, count_call, trio->calls);
}

static void trio_unlock(struct trio *trio, struct range_lock *lock)
{
	for (int i = 0; i < 3; i++)
		range_unlock(lock, &trio->ranges[i]);
}

TEST(async_many, free_ranges_are_held_at_once_and_sorted)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct trio trio;

		begin(&lock, how);
		CHECK_EQ(trio_begin(&trio, &lock), 0);
		for (int i = 0; i < 3; i++)
			CHECK(trio.requests[i].range == &trio.ranges[i]);
		CHECK(!is_free(&lock, 2, 3, RANGE_READ) && !is_free(&lock, 24, 25, RANGE_READ));
		CHECK(!is_free(&lock, 44, 45, RANGE_WRITE) && is_free(&lock, 4, 15, RANGE_WRITE));
		trio_unlock(&trio, &lock);
		CHECK_EQ(trio.calls[0], 0);
		check_quiet_and_destroy(&lock);
	}
}

static int count_held(const struct range_info *info, void *arg)
{
	*(int *)arg += info->state == RANGE_STATE_HELD;
	return 0;
}

/* Any one of the ranges holds back all of them, until it is released. */
TEST(async_many, all_ranges_are_granted_together_or_none)
{
	static const uint64_t blocked[3][2] = { { 3, 4 }, { 20, 21 }, { 44, 50 } };

	for (int i = 0; i < 3 * HOWS; i++) {
		struct range_lock lock;
		struct range_hold held[2];
		struct trio trio;
		int n = 0;

		begin(&lock, i / 3);
		take(&lock, &held[0], blocked[i % 3][0], blocked[i % 3][1], RANGE_WRITE);
		take(&lock, &held[1], blocked[(i + 1) % 3][0], blocked[(i + 1) % 3][1],
		     RANGE_WRITE);
		CHECK_EQ(trio_begin(&trio, &lock), EINPROGRESS);
		range_unlock(&lock, &held[0]);
		CHECK_EQ(trio.calls[0], 0);
		CHECK_EQ(range_lock_foreach(&lock, count_held, &n), 0);
		CHECK_EQ(n, 1);
		range_unlock(&lock, &held[1]);
		CHECK(trio.calls[0] == 1 && trio.calls[1] == 0);
		n = 0;
		CHECK_EQ(range_lock_foreach(&lock, count_held, &n), 0);
		CHECK_EQ(n, 3);
		check_valid(&lock);
		trio_unlock(&trio, &lock);
		CHECK_EQ(trio.calls[0], 1);
		check_quiet_and_destroy(&lock);
	}
}

TEST(async_many, cancel_of_any_range_ends_the_request_once)
{
	for (int i = 0; i < 3 * HOWS; i++) {
		struct range_lock lock;
		struct range_hold held;
		struct trio trio;

		begin(&lock, i / 3);
		take(&lock, &held, 20, 40, RANGE_WRITE);
		CHECK_EQ(trio_begin(&trio, &lock), EINPROGRESS);
		CHECK_EQ(range_cancel(&lock, &trio.ranges[i % 3]), 0);
		CHECK(trio.calls[0] == 1 && trio.calls[1] == ECANCELED);
		for (int other = 0; other < 3; other++)
			CHECK_EQ(range_cancel(&lock, &trio.ranges[other]), ESRCH);
		CHECK(is_free(&lock, 2, 4, RANGE_WRITE));
		range_unlock(&lock, &held);
		CHECK_EQ(trio.calls[0], 1);
		check_quiet_and_destroy(&lock);
	}
}

TEST(async_many, one_range_and_bad_arguments)
{
	struct range_lock lock = RANGE_LOCK_INITIALIZER;
	struct range_hold held, ranges[2];
	struct range_request requests[2] = { { &ranges[0], 5, 9, RANGE_READ },
					     { &ranges[1], 8, 12, RANGE_READ } };
	int calls[2] = { 0 };

	CHECK_EQ(range_lock_many_async(&lock, requests, 2, count_call, calls), EINVAL);
	CHECK_EQ(range_lock_many_async(&lock, requests, 0, count_call, calls), EINVAL);
	CHECK_EQ(range_lock_many_async(&lock, requests, 1, NULL, calls), EINVAL);
#if SIZE_MAX > UINT32_MAX
	CHECK_EQ(range_lock_many_async(&lock, requests, (size_t)UINT32_MAX + 1, count_call, calls),
		 EINVAL);
#endif
	take(&lock, &held, FULL, RANGE_WRITE);
	CHECK_EQ(range_lock_many_async(&lock, requests, 1, count_call, calls), EINPROGRESS);
	range_unlock(&lock, &held);
	CHECK(calls[0] == 1 && calls[1] == 0);
	range_unlock(&lock, &ranges[0]);
	check_quiet_and_destroy(&lock);
}

/* A callback cancels a request that its thread has woken already. */
static void cancel_other(struct request *request)
{
	CHECK_EQ(range_cancel(request->lock, &request->other->range), 0);
	CHECK_EQ(range_cancel(request->lock, &request->other->range), ESRCH);
	CHECK(request_waits(request->other));
}

/* The same from another thread, which must leave the callback to the first. */
static void *cancel_from_thread(void *arg)
{
	cancel_other(arg);
	return NULL;
}

static void cancel_other_from_thread(struct request *request)
{
	thread_join(thread_start(cancel_from_thread, request));
}

TEST(async_many, a_request_that_was_woken_before_it_was_canceled_ends_in_the_thread_that_woke_it)
{
	for (int i = 0; i < 2 * HOWS; i++) {
		struct range_lock lock;
		struct range_hold held;
		struct request first, second;

		begin(&lock, i / 2);
		take(&lock, &held, 0, 30, RANGE_WRITE);
		request_queue(&first, &lock, 2, 4, RANGE_WRITE);
		request_queue(&second, &lock, 5, 25, RANGE_WRITE);
		first.then = i % 2 ? cancel_other : cancel_other_from_thread;
		first.other = &second;
		range_unlock(&lock, &held);
		request_check_ended(&second, ECANCELED);
		CHECK(pthread_equal(second.thread, pthread_self()));
		request_release(&first);
		check_quiet_and_destroy(&lock);
	}
}

TEST(async_many, cancel_of_one_request_leaves_the_others)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct range_hold held;
		struct request requests[3];

		begin(&lock, how);
		take(&lock, &held, 0, 30, RANGE_WRITE);
		for (uint64_t i = 0; i < 3; i++)
			request_queue(&requests[i], &lock, 5 + i, 25, RANGE_WRITE);
		CHECK_EQ(range_cancel(&lock, &requests[1].range), 0);
		request_check_ended(&requests[1], ECANCELED);
		CHECK_EQ(range_cancel(&lock, &requests[1].range), ESRCH);
		range_unlock(&lock, &held);
		request_release(&requests[0]);
		request_release(&requests[2]);
		request_check_ended(&requests[1], ECANCELED);
		check_quiet_and_destroy(&lock);
	}
}

/* What range_lock_foreach() reports: one held range and one that waits. */
struct report {
	struct range_info held, waiting;
	int n;
};

static int note_report(const struct range_info *info, void *arg)
{
	struct report *report = arg;

	*(info->state == RANGE_STATE_HELD ? &report->held : &report->waiting) = *info;
	report->n++;
	return 0;
}

static void *request_in_thread(void *arg)
{
	struct request *request = arg;
	struct range_hold beside;

	take(request->lock, &beside, 20, 21, RANGE_WRITE);
	request_queue(request, request->lock, 5, 15, RANGE_READ);
	request->error = (int)(mmrange__self() >> 32);
	range_unlock(request->lock, &beside);
	return NULL;
}

TEST(async_many, foreach_reports_requests_as_waiting_with_the_thread_that_made_them)
{
	for (int fifo = 0; fifo < 2; fifo++) {
		struct range_lock lock;
		struct range_hold held;
		struct request request;
		struct report report = { .n = 0 };
		unsigned int thread;

		init_lock(&lock, fairnesses[fifo], 1);
		take(&lock, &held, 0, 10, RANGE_WRITE);
		request_init(&request, &lock);
		thread_join(thread_start(request_in_thread, &request));
		thread = (unsigned int)request.error;
		CHECK_EQ(range_lock_foreach(&lock, note_report, &report), 0);
		CHECK_EQ(report.n, 2);
		CHECK(report.waiting.range == &request.range);
		CHECK(report.waiting.start == 5 && report.waiting.end == 15);
		CHECK_EQ(report.waiting.mode, RANGE_READ);
		CHECK_EQ(report.waiting.state, fifo ? RANGE_STATE_STARVING : RANGE_STATE_WAITING);
		CHECK_EQ(report.waiting.thread, thread);
		CHECK(report.held.thread != thread);
		range_unlock(&lock, &held);
		request_release(&request);
		check_quiet_and_destroy(&lock);
	}
}

/* A request over several leaves that becomes starving claims them: no newcomer passes it. */
TEST(async_many, a_request_over_several_leaves_starves_and_claims)
{
	for (int fifo = 0; fifo < 2; fifo++) {
		struct range_lock lock;
		struct range_hold held, passing;
		struct request wide;
		unsigned int passed = 0;

		begin(&lock, 2 + fifo);
		set_starvation(&lock, 1);
		take(&lock, &held, 12, 13, RANGE_READ);
		request_queue(&wide, &lock, 5, 45, RANGE_WRITE);
		while (range_trylock(&lock, &passing, 12, 13, RANGE_READ) == 0) {
			range_unlock(&lock, &passing);
			CHECK(++passed < 100);
		}
		CHECK_EQ(range_trylock(&lock, &passing, 40, 41, RANGE_READ), EBUSY);
		CHECK(!fifo || passed == 0);
		check_valid(&lock);
		range_unlock(&lock, &held);
		request_release(&wide);
		check_quiet_and_destroy(&lock);
	}
}

#ifndef __APPLE__
static volatile unsigned int allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);

/* The linker replaces the functions of the C library by these, here and in the library. */
void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	allocations++;
	return __real_mmap(at, size, prot, flags, fd, offset);
}

TEST(async_many, requests_allocate_nothing)
{
	for (int how = 0; how < HOWS; how++) {
		struct range_lock lock;
		struct range_hold held;
		struct request requests[3];
		struct trio trio;
		unsigned int before;
		void *volatile probe;

		begin(&lock, how);
		take(&lock, &held, 0, 50, RANGE_WRITE);
		before = allocations;
		for (uint64_t i = 0; i < 3; i++)
			request_queue(&requests[i], &lock, 10 * i, 10 * i + 15, RANGE_READ);
		CHECK_EQ(trio_begin(&trio, &lock), EINPROGRESS);
		CHECK_EQ(range_cancel(&lock, &requests[1].range), 0);
		range_unlock(&lock, &held);
		request_release(&requests[0]);
		request_release(&requests[2]);
		CHECK_EQ(trio.calls[0], 1);
		trio_unlock(&trio, &lock);
		CHECK_EQ(allocations, before);
		probe = malloc(1); /* the counting works */
		free(probe);
		CHECK_EQ(allocations, before + 1);
		check_quiet_and_destroy(&lock);
	}
}
#endif
