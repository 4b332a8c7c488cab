/* SPDX-License-Identifier: MIT */
/*
 * Random schedules of threads that use the leaves of a lock, simulated step by step: see
 * leaf_sim.h. Then the same with deliberately broken locks: the simulation must detect each, and
 * must detect a lost wake-up also by the end of the run alone.
 */
#include "leaf_sim.h"

static struct leaf_sim sim;

static void check_schedules(const char *test, bool fifo, unsigned int runs)
{
	uint64_t seeds = test_seed(test);

	sim = (struct leaf_sim){ .fifo = fifo };
	for (unsigned int run = 0; run < runs; run++) {
		sim.seed = test_random(&seeds);
		if (leaf_sim_run(&sim))
			test_fail(__FILE__, __LINE__, "run %u (seed %#" PRIx64 "), step %u: %s",
				  run, sim.seed, sim.step, sim.violation);
	}
	fprintf(stderr,
		"%" PRIu64 " swaps, %" PRIu64 " of two, %" PRIu64 " waits, %" PRIu64
		" passes, %" PRIu64 " promotions, %" PRIu64 " repeats, %" PRIu64 " moves, %" PRIu64
		" claims, %" PRIu64 " timeouts, %" PRIu64 " splits, %" PRIu64 " merges\n",
		sim.counts.fast, sim.counts.wide, sim.counts.waits, sim.counts.passes,
		sim.counts.promotions, sim.counts.repeats, sim.counts.moves, sim.counts.claims,
		sim.counts.timeouts, sim.counts.splits, sim.counts.merges);
	/* Every kind of event happened. */
	CHECK(sim.counts.fast && sim.counts.wide && sim.counts.waits && sim.counts.timeouts);
	CHECK(sim.counts.moves && sim.counts.claims);
	CHECK(sim.counts.splits && sim.counts.merges);
}

TEST(leaf_schedule, with_barging_no_waiter_is_forgotten_and_no_newcomer_passes_a_starving_one)
{
	check_schedules("leaf_schedule/with_barging", false, test_scale(30000));
	CHECK(sim.counts.passes && sim.counts.promotions && sim.counts.repeats);
}

TEST(leaf_schedule, with_fifo_no_waiter_is_forgotten_and_no_newcomer_passes_one)
{
	check_schedules("leaf_schedule/with_fifo", true, test_scale(30000));
	CHECK_EQ(sim.counts.passes, 0);
	CHECK_EQ(sim.counts.promotions, 0);
}

/* Returns the first run with a violation; -1: none. */
static int found_out(enum sim_flaw flaw, bool fifo, bool blind, uint64_t seeds, int runs)
{
	sim = (struct leaf_sim){ .flaw = flaw, .fifo = fifo, .blind = blind };
	for (int run = 0; run < runs; run++) {
		sim.seed = test_random(&seeds);
		if (leaf_sim_run(&sim)) {
			fprintf(stderr, "%s%s%s: run %d: %s\n", sim_flaw_names[flaw],
				fifo ? ", fifo" : "", blind ? ", blind" : "", run, sim.violation);
			return run;
		}
	}
	return -1;
}

enum { MANY = 100000 };

TEST(leaf_schedule, the_test_detects_every_broken_lock)
{
	uint64_t seed = test_seed("leaf_schedule/the_test_detects_every_broken_lock");

	for (enum sim_flaw flaw = SIM_COPIED_WAKE + 1; flaw < NR_SIM_FLAWS; flaw++)
		if (found_out(flaw, false, false, seed, MANY) < 0)
			test_fail(__FILE__, __LINE__, "the test did not detect the flaw \"%s\"",
				  sim_flaw_names[flaw]);
}

TEST(leaf_schedule, the_end_of_a_run_alone_shows_a_lost_wake_up)
{
	uint64_t seed = test_seed("leaf_schedule/a_lost_wake_up_shows_in_the_end");

	for (enum sim_flaw flaw = SIM_COPIED_WAKE + 1; flaw <= SIM_SILENT_CLAIM; flaw++)
		if (found_out(flaw, false, true, seed, MANY) < 0)
			test_fail(__FILE__, __LINE__, "the test did not detect the flaw \"%s\"",
				  sim_flaw_names[flaw]);
}

TEST(leaf_schedule, the_simulation_accepts_a_copy_without_a_flaw)
{
	uint64_t seed = test_seed("leaf_schedule/the_simulation_accepts_a_copy_without_a_flaw");
	int runs = (int)test_scale(1000);

	for (int fifo = 0; fifo < 2; fifo++)
		CHECK_EQ(found_out(SIM_COPIED_WAKE, fifo, false, seed, runs), -1);
}
