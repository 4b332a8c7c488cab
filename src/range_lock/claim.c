/* SPDX-License-Identifier: MIT */
#include "claim.h"
#include "short_lock.h"
#include "wait_tree.h"

static void link_wide(struct range__leaf *leaf, struct range__hold *range)
{
	range->next_wide = leaf->wide;
	if (range->next_wide)
		range->next_wide->wide_link = &range->next_wide;
	range->wide_link = &leaf->wide;
	leaf->wide = range;
}

static void unlink_wide(struct range__hold *range)
{
	*range->wide_link = range->next_wide;
	if (range->next_wide)
		range->next_wide->wide_link = range->wide_link;
}

void range__wide_add(struct range__set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);

		link_wide(range->leaf[0], range);
		range->how |= RANGE__LISTED;
	}
}

void range__wide_remove(struct range__set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);

		unlink_wide(range);
		range->how &= (uint8_t)~RANGE__LISTED;
	}
}

void range__wide_split(struct range__leaf *leaf, uint64_t point, struct range__leaf *right)
{
	struct range__hold *range, *next;

	for (range = leaf->wide; range; range = next) {
		next = range->next_wide;
		if (range->start < point)
			continue;
		unlink_wide(range);
		link_wide(right, range);
	}
}

static void link_claim(struct range__lock *lock, struct range__hold *range)
{
	range->next_claim = lock->claims;
	if (range->next_claim)
		range->next_claim->claim_link = &range->next_claim;
	range->claim_link = &lock->claims;
	lock->claims = range;
}

static void unlink_claim(struct range__hold *range)
{
	*range->claim_link = range->next_claim;
	if (range->next_claim)
		range->next_claim->claim_link = range->claim_link;
}

/* Adds n to the count of each leaf of a range. */
static void add_to_counts(struct range__hold *range, uint32_t n)
{
	struct range__leaf *leaf = range->leaf[0];

	leaf->nr_claims += n;
	while (leaf != range->leaf[1]) {
		leaf = range__leaf_right(leaf);
		leaf->nr_claims += n;
	}
}

void range__claim(struct range__set *set)
{
	range__short_lock(&set->lock->claims_mutex);
	for (size_t i = 0; i < set->n; i++)
		link_claim(set->lock, range__set_hold(set, i));
	range__short_unlock(&set->lock->claims_mutex);
	for (size_t i = 0; i < set->n; i++) {
		range__set_hold(set, i)->starving = 1;
		add_to_counts(range__set_hold(set, i), 1);
	}
	range__set_hold(set, 0)->how |= RANGE__CLAIMS;
}

void range__unclaim(struct range__set *set)
{
	range__short_lock(&set->lock->claims_mutex);
	for (size_t i = 0; i < set->n; i++)
		unlink_claim(range__set_hold(set, i));
	range__short_unlock(&set->lock->claims_mutex);
	for (size_t i = 0; i < set->n; i++)
		add_to_counts(range__set_hold(set, i), UINT32_MAX);
	range__set_hold(set, 0)->how &= (uint8_t)~RANGE__CLAIMS;
}

static bool overlaps_leaf(const struct range__hold *range, struct range__leaf *leaf)
{
	return range__overlap(range, range__leaf_lo(leaf), range__leaf_hi(leaf));
}

uint64_t range__claims_arrival(struct range__lock *lock, struct range__leaf *leaf, uint64_t now)
{
	const struct range__hold *claim;

	range__short_lock(&lock->claims_mutex);
	for (claim = lock->claims; claim; claim = claim->next_claim)
		if (claim->arrival >= now && overlaps_leaf(claim, leaf))
			now = claim->arrival + 1;
	range__short_unlock(&lock->claims_mutex);
	return now;
}

bool range__claims_valid(struct range__lock *lock, struct range__leaf *leaf)
{
	uint32_t n = 0;

	range__short_lock(&lock->claims_mutex);
	for (const struct range__hold *claim = lock->claims; claim; claim = claim->next_claim)
		n += overlaps_leaf(claim, leaf);
	range__short_unlock(&lock->claims_mutex);
	return n == leaf->nr_claims;
}

bool range__claims_block(struct range__lock *lock, struct range__leaf *leaf,
			 const struct range__hold *range)
{
	const struct range__hold *claim;

	range__short_lock(&lock->claims_mutex);
	for (claim = lock->claims; claim; claim = claim->next_claim)
		if (range__earlier(claim, range) && range__conflict(claim, range) &&
		    overlaps_leaf(claim, leaf))
			break;
	range__short_unlock(&lock->claims_mutex);
	return claim != NULL;
}

bool range__claims_upgrade(struct range__lock *lock, const struct range__hold *range)
{
	const struct range__hold *claim;

	range__short_lock(&lock->claims_mutex);
	for (claim = lock->claims; claim; claim = claim->next_claim)
		if (range__marked(claim, RANGE__UPGRADE) &&
		    range__overlap(claim, range->start, range->end))
			break;
	range__short_unlock(&lock->claims_mutex);
	return claim != NULL;
}

bool range__claims_read(struct range__lock *lock, struct range__leaf *leaf,
			const struct range__hold *range)
{
	const struct range__hold *claim;

	range__short_lock(&lock->claims_mutex);
	for (claim = lock->claims; claim; claim = claim->next_claim)
		if (claim->mode == RANGE_READ && range__overlap(claim, range->start, range->end) &&
		    overlaps_leaf(claim, leaf))
			break;
	range__short_unlock(&lock->claims_mutex);
	return claim != NULL;
}
