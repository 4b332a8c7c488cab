/* SPDX-License-Identifier: MIT */
#include "reasons.h"

#include <string.h>

static bool calls(const struct pair *pair, const char *function)
{
	return strcmp(pair->side[0].function->name, function) == 0 ||
	       strcmp(pair->side[1].function->name, function) == 0;
}

static bool share_keys(const struct pair *pair)
{
	return pair->relation >= OVERLAPPING && pair->relation != ONE_STRADDLES;
}

static bool both_read(const struct pair *pair)
{
	return pair->side[0].mode == RANGE_READ && pair->side[1].mode == RANGE_READ;
}

static bool resizes(const struct pair *pair)
{
	return share_keys(pair) && both_read(pair) &&
	       (calls(pair, "range_shrink") || calls(pair, "range_tryextend") ||
		calls(pair, "range_split"));
}

static bool takes_a_set(const struct pair *pair)
{
	return both_read(pair) && calls(pair, "range_lock_many");
}

/* Disjoint ranges, one of which crosses a boundary, so that one leaf has a part of each. */
static bool straddles(const struct pair *pair)
{
	return pair->relation == ONE_STRADDLES;
}

static bool extends(const struct pair *pair)
{
	return calls(pair, "range_tryextend") &&
	       (calls(pair, "range_split") || calls(pair, "range_shrink"));
}

static bool beside_a_writer(const struct pair *pair)
{
	return share_keys(pair) && both_read(pair) &&
	       (pair->state == ONE_HELD || pair->state == SEVERAL_HELD);
}

const struct reason reasons[NR_REASONS] = {
	{ "readers resize",
	  "range_shrink(), range_tryextend() and range_split() lock the leaf, and end its bias, to "
	  "change a range that is in a slot; other readers of the same keys look at the leaf's "
	  "word",
	  resizes },
	{ "readers' sets",
	  "range_lock_many() does not count towards a bias: it uses slots only in leaves that "
	  "other readers have biased",
	  takes_a_set },
	{ "beside a range that straddles",
	  "a leaf has a part of each, until it is split where one of them ends: ranges that "
	  "straddle "
	  "count against that, and readers bias the leaf before",
	  straddles },
	{ "two that are resized",
	  "calls that only change what is held collide seldom: the leaf has not been split yet",
	  extends },
	{ "readers beside a writer",
	  "a leaf in which a writer holds a range is not biased: readers of the same keys lock it",
	  beside_a_writer },
};

unsigned int reason_of(const struct pair *pair)
{
	unsigned int i;

	for (i = 0; i < NR_REASONS && !reasons[i].applies(pair); i++)
		;
	return i;
}
