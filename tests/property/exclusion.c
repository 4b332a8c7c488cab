/* SPDX-License-Identifier: MIT */
/*
 * Random tests of exclusion, with all modes mixed: barging and FIFO, readers and writers, blocking,
 * trying and timed acquisitions, ranges of one slot up to the full range, few leaves and many. Then
 * the same with deliberately broken locks, each of which the oracle must detect.
 */
#include "exclusion.h"
#include "actors.h"
#include "broken_lock.h"
#include "child.h"

#include <string.h>

static const struct {
	const char *name;
	unsigned int slots, write_rate, wide_rate, rounds;
} mixes[] = {
	{ "narrow writers", 256, 8, 0, 20000 }, { "narrow, mixed", 256, 3, 0, 20000 },
	{ "mixed widths", 256, 3, 4, 8000 },    { "wide writers", 256, 8, 48, 2000 },
	{ "wide readers", 256, 1, 64, 4000 },   { "crowded", 4, 4, 16, 4000 },
};

static void check_exclusion(const char *test, enum range_fairness fairness)
{
	static const uint32_t max_leaves[] = { 1, 2, 3, 1024 };
	static struct exclusion e;
	uint64_t state = test_seed(test);

	for (size_t mix = 0; mix < sizeof mixes / sizeof *mixes; mix++) {
		for (size_t k = 0; k < sizeof max_leaves / sizeof *max_leaves; k++) {
			struct range_lock lock;
			struct range_lock_stats stats;

			init_lock(&lock, fairness, max_leaves[k]);
			e.table = &mmrange_table;
			e.lock = &lock;
			e.threads = 4 * cores();
			e.rounds = test_scale(mixes[mix].rounds);
			e.slots = mixes[mix].slots;
			e.write_rate = mixes[mix].write_rate;
			e.wide_rate = mixes[mix].wide_rate;
			e.pair_rate = 8;
			e.meanwhile = make_impatient;
			e.seed = test_random(&state);
			if (!exclusion_holds(&e))
				test_fail(__FILE__, __LINE__, "%s, %" PRIu32 " leaves: %s",
					  mixes[mix].name, max_leaves[k], e.violation);
			stats = lock_stats(&lock);
			CHECK(stats.leaves <= max_leaves[k]);
			check_quiet_and_destroy(&lock);
		}
	}
}

TEST(exclusion, no_two_conflicting_ranges_are_held_with_barging)
{
	check_exclusion("exclusion/no_two_conflicting_ranges_are_held_with_barging",
			RANGE_FAIRNESS_BARGING);
}

TEST(exclusion, no_two_conflicting_ranges_are_held_with_fifo)
{
	check_exclusion("exclusion/no_two_conflicting_ranges_are_held_with_fifo",
			RANGE_FAIRNESS_FIFO);
}

/* Whether the oracle detects the lock's flaw, in bounded time. */
static bool found_out(enum flaw flaw, uint64_t seed)
{
	static struct exclusion e;
	struct broken_lock lock;
	bool found;

	broken_lock_init(&lock, flaw);
	e.table = &broken_table;
	e.lock = &lock;
	e.threads = 4 * cores();
	e.rounds = 200000; /* it ends at the first violation */
	e.slots = 16;
	e.write_rate = 4;
	e.wide_rate = 32;
	e.atomics_only = flaw != FLAW_NONE;
	e.seed = seed;
	if (flaw == FLAW_NONE)
		e.rounds = test_scale(2000);
	found = !exclusion_holds(&e);
	if (found)
		fprintf(stderr, "%s: found: %s, after %" PRIu64 " acquisitions\n", flaw_names[flaw],
			e.violation, e.granted);
	if (!found)
		fprintf(stderr,
			"%s: not found: %" PRIu64 " granted, %" PRIu64 " busy, %" PRIu64
			" timed out\n",
			flaw_names[flaw], e.granted, e.busy, e.timed_out);
	CHECK_EQ(pthread_mutex_destroy(&lock.mutex), 0);
	return found;
}

TEST(exclusion, the_test_detects_every_broken_lock)
{
	uint64_t state = test_seed("exclusion/the_test_detects_every_broken_lock");

	for (enum flaw flaw = FLAW_NONE + 1; flaw < NR_FLAWS; flaw++)
		if (!found_out(flaw, test_random(&state)))
			test_fail(__FILE__, __LINE__, "the test did not detect the flaw \"%s\"",
				  flaw_names[flaw]);
}

TEST(exclusion, the_test_accepts_a_lock_without_a_flaw)
{
	uint64_t seed = test_seed("exclusion/the_test_accepts_a_lock_without_a_flaw");

	CHECK(!found_out(FLAW_NONE, seed));
}

/* A lock that excludes, but does not order: only ThreadSanitizer can detect that. */
static int unordered_lock(void *lock, struct range_hold *range, uint64_t start, uint64_t end,
			  enum range_mode mode, enum how how, const struct timespec *deadline)
{
	(void)how, (void)deadline;
	while (atomic_flag_test_and_set_explicit((atomic_flag *)lock, memory_order_relaxed))
		sched_yield();
	range->start = start;
	range->end = end;
	range->mode = (uint8_t)mode;
	return 0;
}

static void unordered_unlock(void *lock, struct range_hold *range)
{
	(void)range;
	atomic_flag_clear_explicit((atomic_flag *)lock, memory_order_relaxed);
}

static void run_unordered(void)
{
	static const struct lock_table table = { unordered_lock, unordered_unlock };
	static atomic_flag flag = ATOMIC_FLAG_INIT;
	static struct exclusion e = {
		.table = &table, .lock = &flag, .threads = 4, .rounds = 1000, .slots = 4
	};

	e.write_rate = 8;
	exclusion_holds(&e);
}

TEST(exclusion, the_thread_sanitizer_detects_a_lock_that_orders_no_accesses)
{
	char errors[4096];

	if (!under_thread_sanitizer()) {
		puts("skipped: not built with ThreadSanitizer");
		return;
	}
	CHECK(run_in_child(run_unordered, errors, sizeof errors) != 0);
	CHECK(strstr(errors, "data race"));
}
