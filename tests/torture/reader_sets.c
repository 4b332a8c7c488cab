/* SPDX-License-Identifier: MIT */
/*
 * Threads acquire up to four ranges at once for reading, mostly through slots, or change held ones.
 * Others write, and so end the bias of leaves. Each key has a word that says who is inside.
 */
#include "counters.h"

#include <errno.h>

enum { MOST = 4, THREADS = 16, WRITERS = 2, WRITER = 1 << 16 };

static struct key {
	_Alignas(64) atomic_uint inside; /* readers, plus WRITER for a writer */
	uint64_t writes;                 /* plain */
} keys[COUNTERS];

static atomic_ulong published; /* acquisitions of several ranges through slots */
static _Atomic(struct range_hold *) waiting[THREADS];
static atomic_uint nr_threads;

/* relaxed: the lock orders */
static void enter(const struct range_hold *range)
{
	unsigned int one = range->mode == RANGE_WRITE ? WRITER : 1;

	for (uint64_t k = range->start; k < range->end; k++) {
		unsigned int old =
			atomic_fetch_add_explicit(&keys[k].inside, one, memory_order_relaxed);

		CHECK(one == 1 ? old < WRITER : old == 0);
		if (one == WRITER)
			keys[k].writes++;
		else
			(void)*(volatile uint64_t *)&keys[k].writes;
	}
}

static void leave(const struct range_hold *range)
{
	unsigned int one = range->mode == RANGE_WRITE ? WRITER : 1;

	for (uint64_t k = range->start; k < range->end; k++)
		atomic_fetch_sub_explicit(&keys[k].inside, one, memory_order_relaxed);
}

/* Chooses up to MOST ranges that do not overlap, adjacent ones among them. */
static size_t choose(struct counting *thread, struct range_request *requests,
		     struct range_hold *holds, uint64_t writes_of_64)
{
	size_t n = 0, most = 1 + counting_below(thread, MOST);
	bool write = counting_below(thread, 64) < writes_of_64;

	for (uint64_t key = counting_below(thread, COUNTERS / 2); key < COUNTERS && n < most; n++) {
		uint64_t end = key + 1 + counting_below(thread, 3);

		requests[n] =
			(struct range_request){ &holds[n], key, end < COUNTERS ? end : COUNTERS,
						write && counting_below(thread, 2) ? RANGE_WRITE
										   : RANGE_READ };
		key = end + (counting_below(thread, 4) ? counting_below(thread, 24) : 0);
	}
	if (counting_below(thread, 2)) {
		struct range_request first = requests[0];

		requests[0] = requests[n - 1];
		requests[n - 1] = first;
	}
	return n;
}

static int acquire(struct counting *thread, struct range_request *requests, size_t n, bool may_wait)
{
	struct timespec time = { 0, 0 };

	switch (may_wait ? counting_below(thread, 4) : 2 + counting_below(thread, 2)) {
	case 0:
		return range_lock_many(&counters_lock, requests, n);
	case 1:
		time = time_after(CLOCK_MONOTONIC, counting_below(thread, 50000));
		return range_timedlock_many(&counters_lock, requests, n, CLOCK_MONOTONIC, &time);
	case 2:
		return range_timedlock_many(&counters_lock, requests, n, CLOCK_REALTIME, &time);
	default:
		return range_trylock_many(&counters_lock, requests, n);
	}
}

static void change(struct counting *thread, struct range_hold *range)
{
	uint64_t start = range->start + counting_below(thread, range->end - range->start);
	uint64_t end = start + 1 + counting_below(thread, range->end - start);
	struct range_hold upper;
	int error = 0;

	leave(range);
	switch (counting_below(thread, 5)) {
	case 0:
		error = range_tryupgrade(&counters_lock, range);
		break;
	case 1:
		range_downgrade(&counters_lock, range);
		break;
	case 2:
		CHECK_EQ(range_shrink(&counters_lock, range, start, end), 0);
		break;
	case 3:
		error = range_tryextend(
			&counters_lock, range,
			range->start - counting_below(thread, 1 + range->start / 8),
			range->end + counting_below(thread, 1 + (COUNTERS - range->end) / 8));
		break;
	case 4:
		if (start == range->start)
			break;
		CHECK_EQ(range_split(&counters_lock, range, start, &upper), 0);
		enter(&upper);
		leave(&upper);
		range_unlock(&counters_lock, &upper);
		break;
	}
	CHECK(error == 0 || error == EBUSY);
	enter(range);
}

static void use_and_unlock(struct counting *thread, struct range_request *requests, size_t n)
{
	size_t first = counting_below(thread, n);

	for (size_t i = 0; i < n; i++)
		enter(requests[i].range);
	if (n > 1 && is_published(requests[0].range) && is_published(requests[n - 1].range))
		atomic_fetch_add_explicit(&published, 1, memory_order_relaxed);
	if (counting_below(thread, 64) == 0)
		change(thread, requests[first].range);
	if (counting_below(thread, 64) == 0)
		sched_yield();
	for (size_t i = 0; i < n; i++) {
		struct range_hold *range = requests[(first + i) % n].range;

		leave(range);
		range_unlock(&counters_lock, range);
	}
}

/* A thread that holds another range does not wait. */
static void acquire_and_use(struct counting *thread, unsigned int self, uint64_t writes_of_64)
{
	struct range_request requests[MOST];
	struct range_hold holds[MOST], other;
	size_t n = choose(thread, requests, holds, writes_of_64);
	uint64_t key = counting_below(thread, COUNTERS);
	bool has_other = counting_below(thread, 4) == 0 &&
			 !range_trylock(&counters_lock, &other, key, key + 1, RANGE_READ);
	int error;

	atomic_store(&waiting[self], &holds[counting_below(thread, n)]);
	error = acquire(thread, requests, n, !has_other);
	CHECK(error == 0 || error == EBUSY || error == ETIMEDOUT || error == ECANCELED ||
	      (error == EDEADLK && has_other && checked_build));
	if (!error)
		use_and_unlock(thread, requests, n);
	if (has_other)
		range_unlock(&counters_lock, &other);
}

static int see(const struct range_info *info, void *arg)
{
	(void)arg;
	CHECK(info->start < info->end && info->end <= COUNTERS);
	return 0;
}

static void *work(void *arg)
{
	struct counting *thread = arg;
	unsigned int self = atomic_fetch_add(&nr_threads, 1) % THREADS;

	for (unsigned int i = 0; i < test_scale(6000); i++) {
		if (i % 8 == 0)
			make_impatient(&counters_lock);
		if (self == 0 && i % 256 == 0)
			range_lock_foreach(&counters_lock, see, NULL);
		if (self == 1 && i % 16 == 0)
			range_cancel(&counters_lock,
				     atomic_load(&waiting[counting_below(thread, THREADS)]));
		acquire_and_use(thread, self, self < WRITERS ? 8 : 0);
	}
	return NULL;
}

static void run(enum range_fairness fairness, uint32_t max_leaves)
{
	atomic_store(&published, 0);
	counting_run(fairness, max_leaves, work);
	fprintf(stderr, "%lu sets in slots\n", atomic_load(&published));
	CHECK(atomic_load(&published) > 0);
}

TEST(reader_sets, sets_of_barging_readers_exclude_writers)
{
	run(RANGE_FAIRNESS_BARGING, 1);
	run(RANGE_FAIRNESS_BARGING, 8);
	run(RANGE_FAIRNESS_BARGING, 1024);
}

TEST(reader_sets, sets_of_fifo_readers_exclude_writers)
{
	run(RANGE_FAIRNESS_FIFO, 1);
	run(RANGE_FAIRNESS_FIFO, 8);
	run(RANGE_FAIRNESS_FIFO, 1024);
}
