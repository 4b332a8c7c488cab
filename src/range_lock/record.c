/* SPDX-License-Identifier: MIT */
#include "record.h"

static bool belongs_in_leaf(const struct range__hold *range, struct range__leaf *leaf)
{
	return range__overlap(range, range__leaf_lo(leaf), range__leaf_hi(leaf));
}

void range__erase(const struct range__set *set, struct range__hold *range)
{
	struct range__walk walk = range__walk_first(set);

	for (; walk.leaf; range__walk_next(&walk))
		if (belongs_in_leaf(range, walk.leaf))
			range__leaf_erase(walk.leaf, range);
}

void range__record(const struct range__set *set, struct range__hold *range)
{
	struct range__walk walk = range__walk_first(set);

	range->leaf[0] = NULL;
	for (; walk.leaf; range__walk_next(&walk)) {
		if (!belongs_in_leaf(range, walk.leaf))
			continue;
		range__leaf_record(walk.leaf, range);
		if (!range->leaf[0])
			range->leaf[0] = walk.leaf;
		range->leaf[1] = walk.leaf;
	}
	range->how = range->leaf[0] != range->leaf[1] ? RANGE__WIDE : 0;
}

void range__change_mode(const struct range__set *set, struct range__hold *range,
			enum range_mode mode)
{
	range__erase(set, range);
	range->mode = mode;
	range__record(set, range);
}
