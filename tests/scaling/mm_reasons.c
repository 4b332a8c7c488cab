/* SPDX-License-Identifier: MIT */
#include "mm_reasons.h"

static bool maps(const struct pair *pair)
{
	return function_maps(pair->function[0]) || function_maps(pair->function[1]);
}

const struct reason reasons[] = {
	{ "the mm lock", "x", maps },
};

const unsigned int nr_reasons = sizeof(reasons) / sizeof(reasons[0]);

unsigned int reason_of(const struct pair *pair)
{
	unsigned int i;

	for (i = 0; i < nr_reasons && !reasons[i].applies(pair); i++)
		;
	return i;
}
