/* SPDX-License-Identifier: MIT */
#include "reasons.h"

#include <string.h>

static bool calls(const struct pair *pair, const char *function)
{
	return strcmp(pair->side[0].function->name, function) == 0 ||
	       strcmp(pair->side[1].function->name, function) == 0;
}

static bool extends(const struct pair *pair)
{
	return calls(pair, "range_tryextend");
}

/* One of two ranges that are apart lies across a boundary. */
static bool spans(const struct pair *pair)
{
	return pair->relation == ONE_STRADDLES;
}

static bool share_keys(const struct pair *pair)
{
	return pair->relation >= OVERLAPPING && pair->relation != ONE_STRADDLES;
}

static bool ends_bias(const struct pair *pair)
{
	return share_keys(pair) && (calls(pair, "range_shrink") || calls(pair, "range_split"));
}

static bool beside_a_writer(const struct pair *pair)
{
	return share_keys(pair) && (pair->state == ONE_HELD || pair->state == SEVERAL_HELD);
}

static bool before_the_bias(const struct pair *pair)
{
	return share_keys(pair) && pair->state == NOTHING_HELD;
}

const struct reason reasons[NR_REASONS] = {
	{ "extension",
	  "range_tryextend() asks the index of leaves where the longer range lies, under the mutex "
	  "of the lock",
	  extends },
	{ "spanning range",
	  "a range across a boundary merges the leaves; its release, or a thread that collides "
	  "with "
	  "it, splits them again",
	  spans },
	{ "change of a biased range",
	  "range_shrink() and range_split() end the bias of the leaf; readers of the same keys "
	  "then "
	  "share its word",
	  ends_bias },
	{ "readers beside a writer",
	  "readers of the same keys share the word of a leaf in which a writer holds a range, as "
	  "such a leaf is not biased",
	  beside_a_writer },
	{ "few readers so far",
	  "readers of the same keys share the word of their leaf until they have paid for its bias",
	  before_the_bias },
};

unsigned int reason_of(const struct pair *pair)
{
	unsigned int i;

	for (i = 0; i < NR_REASONS && !reasons[i].applies(pair); i++)
		;
	return i;
}
