/* SPDX-License-Identifier: MIT */
#include "trial.h"
#include "controls.h"
#include "markers.h"
#include "report.h"
#include "stage.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { FAILED = 1, NO_PLUGIN = 3, MAX_NAME = 200 };

static const uint64_t NOT_SEEN = UINT64_MAX;

static const struct suite *suite;
static bool verbose;
static int status; /* written by the leader */

/* Both threads make their calls once, one after the other. */
static struct marker_conflicts watch(void)
{
	struct marker_conflicts conflicts = { .lines = NOT_SEEN };
	unsigned int step;

	for (step = STEP_BEFORE; step <= STEP_AFTER; step++) {
		stage_step(0, (enum step)step);
		stage_step(1, (enum step)step);
	}
	marker(MARKER_CONFLICTS, (uintptr_t)&conflicts, 0, 0);
	/* The compiler assumes that a system call changes no variable. */
	atomic_signal_fence(memory_order_seq_cst);
	return conflicts;
}

/* Checks that the plugin finds the known conflicts. */
static bool try_controls(void)
{
	unsigned int i, side;
	uint64_t lines;

	for (i = 0; i < nr_controls; i++) {
		for (side = 0; side < 2; side++)
			stage_cast(side, &controls[i].side[side], NULL);
		lines = watch().lines;
		if (lines == controls[i].lines)
			continue;
		printf("%s: %" PRIu64 " conflicts instead of %u\n", controls[i].name, lines,
		       controls[i].lines);
		status = lines == NOT_SEEN ? NO_PLUGIN : FAILED;
		return false;
	}
	return true;
}

static void print(unsigned int pair, const struct marker_conflicts *conflicts)
{
	char name[MAX_NAME];
	unsigned int i;

	suite->name(pair, name, sizeof(name));
	printf("%s,%" PRIu64, name, conflicts->lines);
	for (i = 0; i < conflicts->lines && i < MARKER_CONFLICTS_NAMED; i++) {
		const struct marker_conflict *conflict = &conflicts->conflict[i];

		printf(",%s: %s / %s", suite->place(conflict->line), conflict->function[0],
		       conflict->function[1]);
	}
	printf("\n");
}

/* A pair that has no reason to conflict gets more time to adapt. */
static struct marker_conflicts watch_warm(unsigned int pair)
{
	struct marker_conflicts conflicts;
	unsigned int i;

	suite->warm_up();
	conflicts = watch();
	for (i = 0;
	     i < suite->more && conflicts.lines > 0 && suite->reason(pair) == suite->nr_reasons;
	     i++) {
		suite->warm_up_more();
		conflicts = watch();
	}
	return conflicts;
}

/* Returns false if a function gave a wrong result. */
static bool try_pair(unsigned int pair)
{
	struct marker_conflicts conflicts;

	if (!suite->set(pair))
		return false;
	conflicts = watch_warm(pair);
	report_commuting(suite, pair, conflicts.lines > 0);
	if (verbose && conflicts.lines > 0)
		print(pair, &conflicts);
	return stage_succeeded() && suite->clear();
}

static void fail(unsigned int pair, const char *what)
{
	char name[MAX_NAME];

	suite->name(pair, name, sizeof(name));
	printf("%s: %s\n", name, what);
	status = FAILED;
}

/* For a pair that does not commute. Returns false as try_pair() does. */
static bool try_control(unsigned int pair)
{
	if (!suite->control || !suite->control(pair))
		return true;
	if (!suite->set(pair))
		return false;
	suite->warm_up();
	if (watch().lines == 0)
		fail(pair, "no conflict was found");
	return stage_succeeded() && suite->clear();
}

static bool try_number(unsigned int pair)
{
	if (suite->verdict(pair) == COMMUTES)
		return try_pair(pair);
	report_left_out(suite, pair);
	return try_control(pair);
}

static void try_pairs(void)
{
	unsigned int i;

	for (i = 0; i < suite->nr_pairs; i++) {
		if (!try_number(i)) {
			fail(i, "a call failed");
			return;
		}
	}
	if (!report_print(suite))
		status = FAILED;
}

static void direct(void)
{
	if (try_controls())
		try_pairs();
}

int trial_main(int argc, char **argv, const struct suite *what)
{
	verbose = argc == 2 && strcmp(argv[1], "-v") == 0;
	if (argc > 2 || (argc == 2 && !verbose)) {
		fprintf(stderr, "usage: %s [-v]\n", argv[0]);
		return 2;
	}
	suite = what;
	if (!stage_run(2, direct)) {
		fprintf(stderr, "%s: no memory, or no threads\n", argv[0]);
		return FAILED;
	}
	return status;
}
