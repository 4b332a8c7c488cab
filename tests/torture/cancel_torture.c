/* SPDX-License-Identifier: MIT */
/*
 * Threads acquire ranges in every way, on their stacks, and cancel each other's waits by addresses
 * that may be long out of date. The results of range_cancel() must agree with those of the waiters'
 * calls, and exclusion must hold. See counters.h.
 */
#include "counters.h"

#include <errno.h>
#include <string.h>

enum { MOST = 3, PLACES = 16 };

/* The addresses of the threads' ranges, present or past. */
static _Atomic(struct range_hold *) places[PLACES];
static atomic_uint canceled, gave_up;

static void cancel_somebody(struct counting *thread)
{
	/* relaxed: the address may be out of date */
	struct range_hold *range =
		atomic_load_explicit(&places[counting_below(thread, PLACES)], memory_order_relaxed);
	int result = range ? range_cancel(&counters_lock, range) : ESRCH;

	if (result)
		CHECK_EQ(result, ESRCH);
	else
		atomic_fetch_add(&canceled, 1);
}

static void publish(struct counting *thread, struct range_hold *range)
{
	atomic_store_explicit(&places[counting_below(thread, PLACES)], range, memory_order_relaxed);
}

/* n ranges beside each other; if n is 1, by any of the calls. */
static int acquire(struct counting *thread, struct range_request *requests, size_t n)
{
	const struct range_request *r = requests;
	struct timespec soon;

	if (n > 1 || counting_below(thread, 8) == 0)
		return range_lock_many(&counters_lock, requests, n);
	if (counting_below(thread, 2))
		return range_lock(&counters_lock, r->range, r->start, r->end, r->mode);
	soon = time_after(CLOCK_MONOTONIC, counting_below(thread, 100000));
	return range_timedlock(&counters_lock, r->range, r->start, r->end, r->mode, CLOCK_MONOTONIC,
			       &soon);
}

static void use(struct counting *thread, const struct range_request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++)
		counting_use(thread, requests[i].range);
	/* Sometimes for long, so that others have to wait. */
	if (counting_below(thread, 16) == 0)
		sched_yield();
	for (size_t i = 0; i < n; i++)
		range_unlock(&counters_lock, requests[i].range);
}

static void try_luck(struct counting *thread)
{
	struct range_request requests[MOST];
	struct range_hold ranges[MOST];
	size_t n = counting_below(thread, 4) ? 1 : MOST;
	uint64_t step = COUNTERS / MOST, size = 1 + counting_below(thread, step);
	int result;

	for (size_t i = 0; i < n; i++) {
		requests[i] = (struct range_request){
			.range = &ranges[i],
			.start = i * step + counting_below(thread, step - size + 1),
			.mode = counting_below(thread, 3) ? RANGE_WRITE : RANGE_READ,
		};
		requests[i].end = requests[i].start + size;
		publish(thread, &ranges[i]);
	}
	result = acquire(thread, requests, n);
	if (!result)
		use(thread, requests, n);
	else if (result == ECANCELED)
		atomic_fetch_add(&gave_up, 1);
	else
		CHECK_EQ(result, ETIMEDOUT);
	/* A later access of the lock is a data race, and may find garbage. */
	memset(ranges, 0xff, sizeof ranges);
}

static void *work(void *arg)
{
	struct counting *thread = arg;

	for (unsigned int i = 0; i < test_scale(6000); i++) {
		if (counting_below(thread, 3) == 0)
			cancel_somebody(thread);
		else
			try_luck(thread);
		if (counting_below(thread, 512) == 0)
			check_valid(&counters_lock);
	}
	return NULL;
}

static void torture(enum range_fairness fairness, uint32_t max_leaves)
{
	atomic_store(&canceled, 0);
	atomic_store(&gave_up, 0);
	for (int i = 0; i < PLACES; i++)
		atomic_store(&places[i], NULL);
	counting_run(fairness, max_leaves, work);
	fprintf(stderr, "%u waits canceled\n", atomic_load(&canceled));
	CHECK_EQ(atomic_load(&canceled), atomic_load(&gave_up));
	CHECK(atomic_load(&canceled) > 0);
}

TEST(cancel_torture, barging)
{
	torture(RANGE_FAIRNESS_BARGING, 1);
	torture(RANGE_FAIRNESS_BARGING, 1024);
}

TEST(cancel_torture, fifo)
{
	torture(RANGE_FAIRNESS_FIFO, 1);
	torture(RANGE_FAIRNESS_FIFO, 1024);
}
