/* SPDX-License-Identifier: MIT */
#include "pairs.h"

enum { LENGTH = 16, BASE = BOUNDARY - LENGTH / 2 };

const char *const relation_names[NR_RELATIONS] = {
	[FAR] = "far apart",
	[NEAR] = "near",
	[ADJACENT] = "adjacent",
	[OVERLAPPING] = "overlapping",
	[NESTED] = "nested",
	[EQUAL] = "equal",
	[ONE_STRADDLES] = "one straddles",
	[BOTH_STRADDLE] = "both straddle",
};

const char *const state_names[NR_STATES] = {
	[NOTHING_HELD] = "empty",
	[ONE_HELD] = "one held",
	[SEVERAL_HELD] = "several held",
	[BIASED] = "biased",
};

/* The second interval; the first is [BASE, BASE + LENGTH). lock_many leaves the middle out. */
static const struct interval second[NR_RELATIONS] = {
	[FAR] = { UINT64_C(1) << 40, (UINT64_C(1) << 40) + LENGTH },
	[NEAR] = { BASE + 2 * LENGTH, BASE + 3 * LENGTH },
	[ADJACENT] = { BASE + LENGTH, BASE + 2 * LENGTH },
	[OVERLAPPING] = { BASE + LENGTH * 3 / 4, BASE + LENGTH * 7 / 4 },
	[NESTED] = { BASE - LENGTH, BASE + 2 * LENGTH },
	[EQUAL] = { BASE, BASE + LENGTH },
	[ONE_STRADDLES] = { BASE + 2 * LENGTH, BASE + 3 * LENGTH },
	[BOTH_STRADDLE] = { BASE - LENGTH / 4, BASE + LENGTH * 3 / 4 },
};

struct interval pair_interval(const struct pair *pair, unsigned int side)
{
	static const struct interval first = { BASE, BASE + LENGTH };

	return side == 0 ? first : second[pair->relation];
}

enum verdict pair_verdict(const struct pair *pair)
{
	struct footprint footprint[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		const struct side *side = &pair->side[i];

		if (side->function->whole)
			return CONCERNS_THE_WHOLE;
		footprint[i] = side->function->footprint(pair_interval(pair, i), side->mode);
	}
	return footprints_conflict(&footprint[0], &footprint[1]) ? CONFLICTS : COMMUTES;
}

unsigned int nr_pairs(void)
{
	return nr_functions * nr_functions * NR_MODES * NR_MODES * NR_RELATIONS * NR_STATES;
}

/* Takes a digit in base n off a number. */
static unsigned int digit(unsigned int *number, unsigned int n)
{
	unsigned int found = *number % n;

	*number /= n;
	return found;
}

struct pair pair_at(unsigned int number)
{
	struct pair pair;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		pair.side[i].function = &functions[digit(&number, nr_functions)];
		pair.side[i].mode = digit(&number, NR_MODES) ? RANGE_WRITE : RANGE_READ;
	}
	pair.state = (enum state)digit(&number, NR_STATES);
	pair.relation = (enum relation)number;
	return pair;
}
