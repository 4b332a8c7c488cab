/* SPDX-License-Identifier: MIT */
/*
 * scaling [-v] - how many commuting pairs of calls on a range lock are free of conflicts; see
 * trial.h. Needs the plugin of tools/coherence.
 */
#include "reasons.h"
#include "scene.h"
#include "trial.h"

#include <stdio.h>

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

	return (unsigned int)((pair.side[0].function->whole ? pair.side[0] : pair.side[1])
				      .function -
			      functions);
}

static unsigned int relation(unsigned int number)
{
	return pair_at(number).relation;
}

static unsigned int state(unsigned int number)
{
	return pair_at(number).state;
}

static unsigned int reason(unsigned int number)
{
	struct pair pair = pair_at(number);

	return reason_of(&pair);
}

static const char *mode_name(const struct side *side)
{
	return side->mode == RANGE_READ ? "read" : "write";
}

static void name(unsigned int number, char *text, size_t size)
{
	struct pair pair = pair_at(number);

	snprintf(text, size, "%s,%s,%s,%s,%s,%s", pair.side[0].function->name,
		 mode_name(&pair.side[0]), pair.side[1].function->name, mode_name(&pair.side[1]),
		 relation_names[pair.relation], state_names[pair.state]);
}

static bool set(unsigned int number)
{
	struct pair pair = pair_at(number);

	return scene_set(&pair);
}

int main(int argc, char **argv)
{
	const struct suite suite = {
		.object = "lock",
		.least_percent = 80.0,
		.nr_pairs = nr_pairs(),
		.nr_functions = nr_functions,
		.nr_rows = NR_RELATIONS,
		.nr_columns = NR_STATES,
		.row_names = relation_names,
		.column_names = state_names,
		.nr_reasons = NR_REASONS,
		.reasons = reasons,
		.function = function,
		.verdict = verdict,
		.whole = whole,
		.row = relation,
		.column = state,
		.reason = reason,
		.name = name,
		.set = set,
		.warm_up = scene_warm_up,
		.warm_up_more = scene_warm_up_more,
		.more = 4,
		.clear = scene_clear,
		.place = scene_place,
	};

	return trial_main(argc, argv, &suite);
}
