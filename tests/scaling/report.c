/* SPDX-License-Identifier: MIT */
#include "report.h"
#include "reasons.h"

#include <stdio.h>

/* So many of a hundred commuting pairs must be free of conflicts. */
static const double LEAST_PERCENT = 80.0;

enum { MAX_FUNCTIONS = 32 };

struct tally {
	unsigned int commuting;
	unsigned int conflicting;
};

static unsigned int nr_conflicting_calls; /* pairs that do not commute */
static unsigned int
	concerning_whole[MAX_FUNCTIONS]; /* by function, the first of the two that does */
static struct tally all, by_scene[NR_RELATIONS][NR_STATES], by_reason[NR_REASONS + 1];

void report_left_out(const struct pair *pair, enum verdict verdict)
{
	const struct side *side = pair->side;

	if (verdict == CONFLICTS)
		nr_conflicting_calls++;
	else
		concerning_whole[(side[0].function->whole ? side[0] : side[1]).function -
				 functions]++;
}

static void add(struct tally *tally, bool conflicts)
{
	tally->commuting++;
	tally->conflicting += conflicts;
}

void report_commuting(const struct pair *pair, bool conflicts)
{
	unsigned int reason = reason_of(pair);

	add(&all, conflicts);
	add(&by_scene[pair->relation][pair->state], conflicts);
	add(&by_reason[reason], conflicts);
	if (!conflicts || reason < NR_REASONS)
		return;
	printf("NO REASON: %s(%s), %s(%s), %s, %s\n", pair->side[0].function->name,
	       pair->side[0].mode == RANGE_READ ? "read" : "write", pair->side[1].function->name,
	       pair->side[1].mode == RANGE_READ ? "read" : "write", relation_names[pair->relation],
	       state_names[pair->state]);
}

static void print_scenes(void)
{
	unsigned int relation, state;

	printf("\npairs free of conflicts, of those that commute\n\n%-16s", "");
	for (state = 0; state < NR_STATES; state++)
		printf(" %14s", state_names[state]);
	for (relation = 0; relation < NR_RELATIONS; relation++) {
		printf("\n%-16s", relation_names[relation]);
		for (state = 0; state < NR_STATES; state++) {
			const struct tally *tally = &by_scene[relation][state];

			printf("  %5u of %5u", tally->commuting - tally->conflicting,
			       tally->commuting);
		}
	}
	printf("\n");
}

static void print_reasons(void)
{
	unsigned int i;

	printf("\npairs that commute and conflict, of those that the reason applies to\n\n");
	for (i = 0; i < NR_REASONS; i++)
		printf("%5u of %5u  %s: %s\n", by_reason[i].conflicting, by_reason[i].commuting,
		       reasons[i].name, reasons[i].text);
	printf("%5u of %5u  without a reason\n", by_reason[i].conflicting, by_reason[i].commuting);
}

static unsigned int print_left_out(void)
{
	unsigned int i, n = 0;

	printf("\npairs that concern the whole lock by definition\n\n");
	for (i = 0; i < nr_functions; i++) {
		n += concerning_whole[i];
		if (functions[i].whole)
			printf("%5u  %s() %s\n", concerning_whole[i], functions[i].name,
			       functions[i].whole);
	}
	return n;
}

bool report_print(void)
{
	double percent = 100.0 * (all.commuting - all.conflicting) / all.commuting;
	unsigned int whole;

	print_scenes();
	print_reasons();
	whole = print_left_out();
	printf("\npairs=%u whole_lock=%u not_commuting=%u commuting=%u conflict_free=%u "
	       "percent=%.2f least_percent=%.2f without_reason=%u\n",
	       nr_pairs(), whole, nr_conflicting_calls, all.commuting,
	       all.commuting - all.conflicting, percent, LEAST_PERCENT,
	       by_reason[NR_REASONS].conflicting);
	return percent >= LEAST_PERCENT && by_reason[NR_REASONS].conflicting == 0;
}
