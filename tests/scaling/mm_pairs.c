/* SPDX-License-Identifier: MIT */
#include "mm_pairs.h"

#define TABLE (512 * MM_PAGE_SIZE)
/* In the middle of the range of a lowest table, and far from where the library chooses places. */
#define PLACE ((UINT64_C(1) << 40) + TABLE / 2)

const char *const relation_names[NR_RELATIONS] = {
	[FAR] = "far apart",
	[NEAR_TABLES] = "near; two page tables",
	[NEAR] = "near; one page table",
	[ADJACENT_TABLES] = "adjacent; two tables",
	[ADJACENT] = "adjacent; they merge",
	[ADJACENT_APART] = "adjacent; they do not",
	[OVERLAPPING] = "overlapping",
	[EQUAL] = "equal",
};

/*
 * Where the second call's pages begin. Those of the first call end at PLACE, or begin there if the
 * two overlap.
 */
static const uint64_t second[NR_RELATIONS] = {
	[FAR] = PLACE + (UINT64_C(1) << 39),
	[NEAR_TABLES] = PLACE + 3 * TABLE,
	[NEAR] = PLACE + 8 * MM_PAGE_SIZE,
	[ADJACENT_TABLES] = PLACE + TABLE / 2,
	[ADJACENT] = PLACE,
	[ADJACENT_APART] = PLACE,
	[OVERLAPPING] = PLACE + 2 * MM_PAGE_SIZE,
	[EQUAL] = PLACE,
};

static uint64_t first_start(enum relation relation, uint64_t length)
{
	if (relation >= OVERLAPPING)
		return PLACE;
	return (relation == ADJACENT_TABLES ? second[relation] : PLACE) - length;
}

struct pages pair_pages(const struct pair *pair, unsigned int side)
{
	uint64_t length = pair->function[side]->pages * MM_PAGE_SIZE;
	uint64_t start = side ? second[pair->relation] : first_start(pair->relation, length);

	return (struct pages){ start, start + length };
}

enum verdict pair_verdict(const struct pair *pair)
{
	const struct function *const *function = pair->function;
	struct pages first, other;

	if (function[0]->whole || function[1]->whole)
		return CONCERNS_THE_WHOLE;
	first = pair_pages(pair, 0);
	other = pair_pages(pair, 1);
	return functions_conflict(function[0], function[1],
				  first.start < other.end && other.start < first.end)
		       ? CONFLICTS
		       : COMMUTES;
}

unsigned int nr_pairs(void)
{
	return nr_functions * nr_functions * NR_RELATIONS;
}

struct pair pair_at(unsigned int number)
{
	struct pair pair;

	pair.function[0] = &functions[number % nr_functions];
	number /= nr_functions;
	pair.function[1] = &functions[number % nr_functions];
	pair.relation = (enum relation)(number / nr_functions);
	return pair;
}
