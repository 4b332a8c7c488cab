/* SPDX-License-Identifier: MIT */
/*
 * Many more threads than cores, everything mixed: blocking, trying and timed acquisitions, one or
 * two ranges at a time, single slots and the full range, leaves that split and merge all the time.
 * The oracle is exact: the data equals the sum of the threads' writes, every acquisition is
 * accounted for, and no range is left at the end. Under audit, another thread checks every
 * invariant of the lock all the while, including that each waiter has a cause to wait.
 *
 * MMRANGE_SECONDS sets the duration; the default is 10.
 */
#include "actors.h"
#include "exclusion.h"

static void disturb_and_audit(void *lock)
{
	make_impatient(lock);
	check_valid(lock);
}

static uint64_t duration(void)
{
	const char *seconds = getenv("MMRANGE_SECONDS");

	return (seconds ? strtoull(seconds, NULL, 10) : 10) * SECOND;
}

static void torture(const char *test, enum range_fairness fairness, uint32_t max_leaves,
		    bool audited)
{
	static struct exclusion e;
	struct range_lock lock;
	struct range_lock_attr attr;
	struct range_lock_stats stats;
	struct memory_books books;

	range_lock_attr_init(&attr);
	attr.fairness = fairness;
	attr.max_leaves = max_leaves;
	use_memory_books(&attr, &books, UINT32_MAX);
	CHECK_EQ(range_lock_init(&lock, &attr), 0);
	e.table = &mmrange_table;
	e.lock = &lock;
	e.threads = cores() > 8 ? 4 * cores() : 32;
	e.end = now_ns() + duration() / 8;
	e.slots = SLOTS;
	e.write_rate = 5;
	e.wide_rate = 1;
	e.own_rate = 40;
	e.pair_rate = 8;
	e.seed = test_seed(test);
	e.meanwhile = audited ? disturb_and_audit : make_impatient;
	if (!exclusion_holds(&e))
		test_fail(__FILE__, __LINE__, "%s", e.violation);
	stats = lock_stats(&lock);
	fprintf(stderr,
		"%u threads, %" PRIu64 " granted, %" PRIu64 " busy, %" PRIu64 " timed out, %" PRIu64
		" waits, %" PRIu64 " splits, %" PRIu64 " merges\n",
		e.threads, e.granted, e.busy, e.timed_out, stats.waits, stats.splits, stats.merges);
	CHECK(stats.leaves <= max_leaves);
	CHECK(stats.waits >= e.timed_out || checked_build);
	CHECK(stats.waits <= e.attempts - e.busy);
	CHECK(stats.splits > 0);
	/* If there are only a few leaves, hardly any of them is ever empty when a sweep comes. */
	CHECK(stats.merges > 0 || max_leaves < 64);
	check_quiet_and_destroy(&lock);
	check_memory_balanced(&books);
}

TEST(torture, barging_with_few_leaves)
{
	torture("torture/barging_with_few_leaves", RANGE_FAIRNESS_BARGING, 3, false);
}

TEST(torture, barging_with_many_leaves)
{
	torture("torture/barging_with_many_leaves", RANGE_FAIRNESS_BARGING, 1024, false);
}

TEST(torture, barging_with_few_leaves_under_audit)
{
	torture("torture/barging_with_few_leaves_under_audit", RANGE_FAIRNESS_BARGING, 3, true);
}

TEST(torture, barging_with_many_leaves_under_audit)
{
	torture("torture/barging_with_many_leaves_under_audit", RANGE_FAIRNESS_BARGING, 1024, true);
}

TEST(torture, fifo_with_few_leaves)
{
	torture("torture/fifo_with_few_leaves", RANGE_FAIRNESS_FIFO, 3, false);
}

TEST(torture, fifo_with_many_leaves)
{
	torture("torture/fifo_with_many_leaves", RANGE_FAIRNESS_FIFO, 1024, false);
}

TEST(torture, fifo_with_few_leaves_under_audit)
{
	torture("torture/fifo_with_few_leaves_under_audit", RANGE_FAIRNESS_FIFO, 3, true);
}

TEST(torture, fifo_with_many_leaves_under_audit)
{
	torture("torture/fifo_with_many_leaves_under_audit", RANGE_FAIRNESS_FIFO, 1024, true);
}
