/* SPDX-License-Identifier: MIT */
/*
 * Several ranges as one acquisition of all their leaves, see wait.c. Readers in biased leaves use
 * slots, see reader.c.
 */
#include "async.h"
#include "checked.h"
#include "copy.h"
#include "race.h"
#include "reader.h"
#include "wait.h"

#include <errno.h>

/* Sorts by start, in place, without recursion and in O(n log n): heapsort (Williams 1964). */
static void sift_down(struct range_request *requests, size_t root, size_t n)
{
	struct range_request request = requests[root];
	size_t child;

	for (; (child = 2 * root + 1) < n; root = child) {
		if (child + 1 < n && requests[child].start < requests[child + 1].start)
			child++;
		if (requests[child].start <= request.start)
			break;
		requests[root] = requests[child];
	}
	requests[root] = request;
}

static bool is_sorted(const struct range_request *requests, size_t n)
{
	size_t i = 1;

	while (i < n && requests[i - 1].start <= requests[i].start)
		i++;
	return i >= n;
}

static void sort(struct range_request *requests, size_t n)
{
	if (is_sorted(requests, n))
		return;
	for (size_t i = n / 2; i > 0; i--)
		sift_down(requests, i - 1, n);
	for (size_t last = n - 1; last > 0; last--) {
		struct range_request request = requests[0];

		requests[0] = requests[last];
		requests[last] = request;
		sift_down(requests, 0, last);
	}
}

/* For sorted requests. */
static bool requests_valid(const struct range_request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct range_request *r = &requests[i];

		if (r->start >= r->end || (r->mode != RANGE_READ && r->mode != RANGE_WRITE) ||
		    (i > 0 && r->start < requests[i - 1].end))
			return false;
	}
	return n > 0;
}

static void begin_request(struct range__lock *lock, const struct range_request *request,
			  const struct range__limit *limit)
{
	struct range__hold *range = range__hold(request->range);

	range__checked_begin(lock, range);
	if (limit->callback)
		range__checked_disown(range);
	range->start = request->start;
	range->end = request->end;
	range->mode = request->mode;
	range->how = 0;
	range->owner = mmrange__self();
}

static int acquire_set_slow(struct range__set *set, const struct range__limit *limit)
{
	int error;

	range__race_enter();
	error = range__acquire_slow(set, limit);
	range__async_run();
	range__race_leave();
	return error;
}

static int acquire_set(struct range__lock *lock, struct range_request *requests, size_t n,
		       const struct range__limit *limit)
{
	struct range__set set = { .lock = lock, .requests = requests, .n = n };
	int error = 0;

	sort(requests, n);
	if (!range__limit_valid(limit) || !requests_valid(requests, n))
		return EINVAL;
	/* A request of one range keeps the callback elsewhere than one of several. */
	if (limit->callback && n == 1) {
		set.one = range__hold(requests[0].range);
		set.requests = NULL;
	}
	for (size_t i = 0; i < n; i++)
		begin_request(lock, &requests[i], limit);
	/* The slow path claims the lock for this copy of the library, or stops. */
	if (!range__copy_owns(lock) || !range__reader_enter_all(&set))
		error = acquire_set_slow(&set, limit);
	for (size_t i = 0; error != EINPROGRESS && i < n; i++)
		range__checked_end(range__hold(requests[i].range), error);
	return error;
}

int range_lock_many(struct range_lock *lock_, struct range_request *requests, size_t n)
{
	struct range__lock *lock = range__lock(lock_);
	static const struct range__limit limit = { .clock = CLOCK_MONOTONIC };

	return acquire_set(lock, requests, n, &limit);
}

int range_trylock_many(struct range_lock *lock_, struct range_request *requests, size_t n)
{
	struct range__lock *lock = range__lock(lock_);
	static const struct range__limit limit = { .try = true, .clock = CLOCK_MONOTONIC };

	return acquire_set(lock, requests, n, &limit);
}

int range_timedlock_many(struct range_lock *lock_, struct range_request *requests, size_t n,
			 clockid_t clock, const struct timespec *deadline)
{
	struct range__lock *lock = range__lock(lock_);
	const struct range__limit limit = { .clock = clock, .deadline = deadline };

	return acquire_set(lock, requests, n, &limit);
}

int range_lock_many_async(struct range_lock *lock_, struct range_request *requests, size_t n,
			  range_callback *callback, void *arg)
{
	struct range__lock *lock = range__lock(lock_);
	const struct range__limit limit = {
		.clock = CLOCK_MONOTONIC,
		.callback = callback,
		.arg = arg,
	};

	if (!callback || n > UINT32_MAX)
		return EINVAL;
	return acquire_set(lock, requests, n, &limit);
}
