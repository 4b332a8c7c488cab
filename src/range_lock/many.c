/* SPDX-License-Identifier: MIT */
/*
 * Several ranges at once. A thread must not wait for one range while it holds another (see the head
 * of the public header), so it waits for one with nothing held, tries the others, and if one of
 * them is taken lets go of all, and waits for that one next: where the obstacle was. After some
 * rounds in vain it waits for one range that spans them all, which is as fair as any other wait,
 * and cuts what it wants out of that.
 */
#include <mmrange/range_lock.h>

#include <errno.h>
#include <stdbool.h>

enum { ROUNDS = 4 };

/* By start. Few, and in order most of the time: insertion sort. */
static void sort(struct range_request *requests, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct range_request request = requests[i];
		size_t k = i;

		for (; k > 0 && request.start < requests[k - 1].start; k--)
			requests[k] = requests[k - 1];
		requests[k] = request;
	}
}

/* Sorted. */
static bool valid(const struct range_request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct range_request *r = &requests[i];

		if (r->start >= r->end || (r->mode != RANGE_READ && r->mode != RANGE_WRITE) ||
		    (i > 0 && r->start < requests[i - 1].end))
			return false;
	}
	return n > 0;
}

/*
 * Tries all but the one at held. Returns n, or the first that is taken; then nothing is held any
 * more.
 */
static size_t try_others(struct range_lock *lock, const struct range_request *requests, size_t n,
			 size_t held)
{
	for (size_t i = 0; i < n; i++) {
		const struct range_request *r = &requests[i];

		if (i == held || !range_trylock(lock, r->range, r->start, r->end, r->mode))
			continue;
		for (size_t k = 0; k < i; k++)
			if (k != held)
				range_unlock(lock, requests[k].range);
		range_unlock(lock, requests[held].range);
		return i;
	}
	return n;
}

static int lock_span(struct range_lock *lock, const struct range_request *requests, size_t n)
{
	enum range_mode mode = RANGE_READ;
	int error;

	for (size_t i = 0; i < n; i++)
		if (requests[i].mode == RANGE_WRITE)
			mode = RANGE_WRITE;
	error = range_lock(lock, requests[0].range, requests[0].start, requests[n - 1].end, mode);
	if (error)
		return error;
	for (size_t i = 0; i < n; i++) {
		const struct range_request *r = &requests[i];

		if (i + 1 < n) {
			/* Cannot fail: the point is inside. */
			error |= range_split(lock, r->range, requests[i + 1].start,
					     requests[i + 1].range);
			range_shrink(lock, r->range, r->start, r->end);
		}
		if (r->mode != mode)
			range_downgrade(lock, r->range);
	}
	return error;
}

int range_lock_many(struct range_lock *lock, struct range_request *requests, size_t n)
{
	size_t first = 0;

	sort(requests, n);
	if (!valid(requests, n))
		return EINVAL;
	for (int round = 0; round < ROUNDS; round++) {
		const struct range_request *r = &requests[first];
		int error = range_lock(lock, r->range, r->start, r->end, r->mode);

		if (error)
			return error;
		first = try_others(lock, requests, n, first);
		if (first == n)
			return 0;
	}
	return lock_span(lock, requests, n);
}
