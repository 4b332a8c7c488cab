/* SPDX-License-Identifier: MIT */
/*
 * scaling [-v] - how many of the pairs of calls that commute are free of conflicts; with -v, names
 * those that are not, as lines of CSV. For the plugin of bench/coherence.
 *
 * Exits with 1 if there are too few, or one of those that are not has no reason, or a function of the
 * lock did not do what it must; with 3 without the plugin.
 */
#include "controls.h"
#include "markers.h"
#include "reasons.h"
#include "report.h"
#include "scene.h"
#include "stage.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { FAILED = 1, NO_PLUGIN = 3, MORE_WARM_UPS = 4 };

static const uint64_t NOT_SEEN = UINT64_MAX;

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
	/* The compiler takes a system call for something that changes no variable. */
	atomic_signal_fence(memory_order_seq_cst);
	return conflicts;
}

/* The plugin finds what it must. */
static bool try_controls(void)
{
	unsigned int i, side;
	uint64_t lines;

	for (i = 0; i < nr_controls; i++) {
		for (side = 0; side < 2; side++)
			stage_calls[side].function = &controls[i].side[side];
		lines = watch().lines;
		if (lines == controls[i].lines)
			continue;
		printf("%s and %s: %" PRIu64 " conflicts instead of %u\n", controls[i].side[0].name,
		       controls[i].side[1].name, lines, controls[i].lines);
		status = lines == NOT_SEEN ? NO_PLUGIN : FAILED;
		return false;
	}
	return true;
}

static void print(const struct pair *pair, const struct marker_conflicts *conflicts)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		printf("%s,%s,", pair->side[i].function->name,
		       pair->side[i].mode == RANGE_READ ? "read" : "write");
	printf("%s,%s,%" PRIu64, relation_names[pair->relation], state_names[pair->state],
	       conflicts->lines);
	for (i = 0; i < conflicts->lines && i < MARKER_CONFLICTS_NAMED; i++)
		printf(",%s", scene_place(conflicts->line[i]));
	printf("\n");
}

/* A pair that has no reason to conflict is given more time to adapt. */
static struct marker_conflicts watch_warm(const struct pair *pair)
{
	struct marker_conflicts conflicts;
	unsigned int i;

	scene_warm_up();
	conflicts = watch();
	for (i = 0; i < MORE_WARM_UPS && conflicts.lines > 0 && reason_of(pair) == NR_REASONS;
	     i++) {
		scene_warm_up_more();
		conflicts = watch();
	}
	return conflicts;
}

/* False: a function of the lock did not do what it must. */
static bool try_pair(const struct pair *pair)
{
	struct marker_conflicts conflicts;

	if (!scene_set(pair))
		return false;
	conflicts = watch_warm(pair);
	report_commuting(pair, conflicts.lines > 0);
	if (verbose && conflicts.lines > 0)
		print(pair, &conflicts);
	return stage_succeeded() && scene_clear();
}

static void try_pairs(void)
{
	unsigned int i;

	for (i = 0; i < nr_pairs(); i++) {
		struct pair pair = pair_at(i);
		enum verdict verdict = pair_verdict(&pair);

		if (verdict != COMMUTES) {
			report_left_out(&pair, verdict);
		} else if (!try_pair(&pair)) {
			printf("%s and %s, %s, %s: a call failed\n", pair.side[0].function->name,
			       pair.side[1].function->name, relation_names[pair.relation],
			       state_names[pair.state]);
			status = FAILED;
			return;
		}
	}
	if (!report_print())
		status = FAILED;
}

static void direct(void)
{
	if (try_controls())
		try_pairs();
}

int main(int argc, char **argv)
{
	verbose = argc == 2 && strcmp(argv[1], "-v") == 0;
	if (argc > 2 || (argc == 2 && !verbose)) {
		fprintf(stderr, "usage: scaling [-v]\n");
		return 2;
	}
	if (!stage_run(2, direct)) {
		fprintf(stderr, "scaling: no memory, or no threads\n");
		return FAILED;
	}
	return status;
}
