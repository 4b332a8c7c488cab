/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdio.h>

enum { MAX_FUNCTIONS = 48, MAX_ROWS = 16, MAX_COLUMNS = 8, MAX_REASONS = 24, MAX_NAME = 200 };

struct tally {
	unsigned int commuting;
	unsigned int conflicting;
};

static unsigned int nr_conflicting_calls; /* pairs that do not commute */
static unsigned int concerning_whole[MAX_FUNCTIONS];
static struct tally all, by_cell[MAX_ROWS][MAX_COLUMNS], by_reason[MAX_REASONS + 1];

void report_left_out(const struct suite *suite, unsigned int pair)
{
	if (suite->verdict(pair) == CONFLICTS)
		nr_conflicting_calls++;
	else
		concerning_whole[suite->whole(pair)]++;
}

static void add(struct tally *tally, bool conflicts)
{
	tally->commuting++;
	tally->conflicting += conflicts;
}

void report_commuting(const struct suite *suite, unsigned int pair, bool conflicts)
{
	unsigned int reason = suite->reason(pair);
	char name[MAX_NAME];

	add(&all, conflicts);
	add(&by_cell[suite->row(pair)][suite->column(pair)], conflicts);
	add(&by_reason[reason], conflicts);
	if (!conflicts || reason < suite->nr_reasons)
		return;
	suite->name(pair, name, sizeof(name));
	printf("NO REASON: %s\n", name);
}

static void print_cells(const struct suite *suite)
{
	unsigned int row, column;

	printf("\npairs free of conflicts, of those that commute\n\n%-24s", "");
	for (column = 0; column < suite->nr_columns; column++)
		printf(" %14s", suite->column_names[column]);
	for (row = 0; row < suite->nr_rows; row++) {
		printf("\n%-24s", suite->row_names[row]);
		for (column = 0; column < suite->nr_columns; column++) {
			const struct tally *tally = &by_cell[row][column];

			printf("  %5u of %5u", tally->commuting - tally->conflicting,
			       tally->commuting);
		}
	}
	printf("\n");
}

static void print_reasons(const struct suite *suite)
{
	unsigned int i;

	printf("\npairs that commute and conflict, of those that the reason applies to\n\n");
	for (i = 0; i < suite->nr_reasons; i++)
		printf("%5u of %5u  %s: %s\n", by_reason[i].conflicting, by_reason[i].commuting,
		       suite->reasons[i].name, suite->reasons[i].text);
	printf("%5u of %5u  without a reason\n", by_reason[i].conflicting, by_reason[i].commuting);
}

static unsigned int print_left_out(const struct suite *suite)
{
	unsigned int i, n = 0;

	printf("\npairs that concern the whole %s by definition\n\n", suite->object);
	for (i = 0; i < suite->nr_functions; i++) {
		struct whole function = suite->function(i);

		n += concerning_whole[i];
		if (function.why)
			printf("%5u  %s: %s\n", concerning_whole[i], function.name, function.why);
	}
	return n;
}

bool report_print(const struct suite *suite)
{
	double percent = 100.0 * (all.commuting - all.conflicting) / all.commuting;
	unsigned int without = by_reason[suite->nr_reasons].conflicting;
	unsigned int whole;

	print_cells(suite);
	print_reasons(suite);
	whole = print_left_out(suite);
	printf("\npairs=%u whole=%u not_commuting=%u commuting=%u conflict_free=%u "
	       "percent=%.2f least_percent=%.2f without_reason=%u\n",
	       suite->nr_pairs, whole, nr_conflicting_calls, all.commuting,
	       all.commuting - all.conflicting, percent, suite->least_percent, without);
	return percent >= suite->least_percent && without == 0;
}
