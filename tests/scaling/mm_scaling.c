/* SPDX-License-Identifier: MIT */
/*
 * mm_scaling [-v] - how many commuting pairs of calls on an address space are free of conflicts;
 * see trial.h. Needs the plugin of tools/coherence.
 */
#include "mm_reasons.h"
#include "mm_scene.h"
#include "trial.h"

#include <stdio.h>
#include <string.h>

enum column { BOTH_MAP, ONE_MAPS, NONE_MAPS, NR_COLUMNS };

static const char *const column_names[NR_COLUMNS] = {
	[BOTH_MAP] = "both map",
	[ONE_MAPS] = "one maps",
	[NONE_MAPS] = "none maps",
};

static struct whole function(unsigned int number)
{
	return (struct whole){ functions[number].name, functions[number].whole };
}

static enum verdict verdict(unsigned int number)
{
	struct pair pair = pair_at(number);

	return pair_verdict(&pair);
}

static unsigned int whole(unsigned int number)
{
	struct pair pair = pair_at(number);

	return (unsigned int)(pair.function[!pair.function[0]->whole] - functions);
}

static unsigned int relation(unsigned int number)
{
	return pair_at(number).relation;
}

/* The number of the two calls that change VMAs. */
static unsigned int column(unsigned int number)
{
	struct pair pair = pair_at(number);
	bool first = function_maps(pair.function[0]);
	bool second = function_maps(pair.function[1]);

	return first && second ? BOTH_MAP : first || second ? ONE_MAPS : NONE_MAPS;
}

static unsigned int reason(unsigned int number)
{
	struct pair pair = pair_at(number);

	return reason_of(&pair);
}

static void name(unsigned int number, char *text, size_t size)
{
	struct pair pair = pair_at(number);

	snprintf(text, size, "%s,%s,%s", pair.function[0]->name, pair.function[1]->name,
		 relation_names[pair.relation]);
}

/* Some pairs of the same call on the same pages. */
static bool control(unsigned int number)
{
	static const char *const names[] = { "mm_mmap(over)", "mm_lock_range(write)", "mm_brk" };
	struct pair pair = pair_at(number);
	unsigned int i;

	if (pair.relation != EQUAL || pair.function[0] != pair.function[1])
		return false;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(pair.function[0]->name, names[i]) == 0)
			return true;
	return false;
}

static bool set(unsigned int number)
{
	struct pair pair = pair_at(number);

	return scene_set(&pair);
}

int main(int argc, char **argv)
{
	const struct suite suite = {
		.object = "space",
		.least_percent = 76.0,
		.nr_pairs = nr_pairs(),
		.nr_functions = nr_functions,
		.nr_rows = NR_RELATIONS,
		.nr_columns = NR_COLUMNS,
		.row_names = relation_names,
		.column_names = column_names,
		.nr_reasons = nr_reasons,
		.reasons = reasons,
		.function = function,
		.verdict = verdict,
		.whole = whole,
		.row = relation,
		.column = column,
		.reason = reason,
		.name = name,
		.control = control,
		.set = set,
		.warm_up = scene_warm_up,
		.warm_up_more = scene_warm_up,
		.more = 24,
		.clear = scene_clear,
		.place = scene_place,
	};

	return trial_main(argc, argv, &suite);
}
