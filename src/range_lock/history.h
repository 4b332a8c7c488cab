/* SPDX-License-Identifier: MIT */
/*
 * history - what a leaf remembers of the acquisitions in it, from which adapt.c decides whether to
 * split or merge the leaf.
 *
 * A leaf remembers the thread and the range of the last acquisition, and three numbers:
 *
 *	score            rises while threads collide on the leaf with ranges that do not overlap
 *	split_doublings  how often the score at which the leaf is split has doubled
 *	crossings        rises while ranges cross the leaf's lower bound, and falls while ranges
 *	                 stay inside
 *
 * All of it is a guess that no lock protects: a lost update delays a split or a merge, and does no
 * other harm. So all accesses in this file are relaxed.
 */
#ifndef RANGE_LOCK_HISTORY_H
#define RANGE_LOCK_HISTORY_H

#include "leaf.h"

/*
 * What an acquisition adds to the score if its range is disjoint from that of another thread before
 * it.
 */
#define RANGE__SCORE_DISJOINT 4u

/* In place of a thread: no thread has used the leaf since the last sweep, or since it was made. */
#define RANGE__OWNER_COLD UINT32_C(0)
#define RANGE__OWNER_NEW  UINT32_MAX

enum { RANGE__FIRST_SPLIT_THRESHOLD = 2 * RANGE__SCORE_DISJOINT, RANGE__MAX_SPLIT_DOUBLINGS = 7 };

static inline uint32_t range__last_owner(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->last_owner, memory_order_relaxed);
}

static inline void range__set_last_owner(struct range__leaf *leaf, uint32_t owner)
{
	atomic_store_explicit(&leaf->last_owner, owner, memory_order_relaxed);
}

static inline uint64_t range__last_start(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->last_start, memory_order_relaxed);
}

static inline uint64_t range__last_end(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->last_end, memory_order_relaxed);
}

static inline void range__set_last_range(struct range__leaf *leaf, uint64_t start, uint64_t end)
{
	atomic_store_explicit(&leaf->last_start, start, memory_order_relaxed);
	atomic_store_explicit(&leaf->last_end, end, memory_order_relaxed);
}

/*
 * Whether the thread that acquires now is another one than before: then the leaf's line has moved.
 */
static inline bool range__is_shared(struct range__leaf *leaf, uint64_t owner)
{
	return range__last_owner(leaf) != (uint32_t)owner;
}

static inline bool range__overlaps_last(struct range__leaf *leaf, const struct range__hold *range)
{
	return range__overlap(range, range__last_start(leaf), range__last_end(leaf));
}

static inline unsigned int range__score(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->score, memory_order_relaxed);
}

static inline void range__set_score(struct range__leaf *leaf, unsigned int score)
{
	atomic_store_explicit(&leaf->score, (uint16_t)score, memory_order_relaxed);
}

static inline void range__lower_score(struct range__leaf *leaf, unsigned int by)
{
	unsigned int score = range__score(leaf);

	if (score > 0)
		range__set_score(leaf, score > by ? score - by : 0);
}

/* The score at which the leaf is split. */
static inline unsigned int range__split_threshold(struct range__leaf *leaf)
{
	return (unsigned int)RANGE__FIRST_SPLIT_THRESHOLD
	       << atomic_load_explicit(&leaf->split_doublings, memory_order_relaxed);
}

/* A split would not have helped, or was not possible. */
static inline void range__double_split_threshold(struct range__leaf *leaf)
{
	uint8_t doublings = atomic_load_explicit(&leaf->split_doublings, memory_order_relaxed);

	if (doublings < RANGE__MAX_SPLIT_DOUBLINGS)
		atomic_store_explicit(&leaf->split_doublings, (uint8_t)(doublings + 1),
				      memory_order_relaxed);
}

static inline unsigned int range__crossings(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->crossings, memory_order_relaxed);
}

static inline void range__set_crossings(struct range__leaf *leaf, unsigned int crossings)
{
	if (crossings != range__crossings(leaf))
		atomic_store_explicit(&leaf->crossings, (uint8_t)crossings, memory_order_relaxed);
}

/* With both leaves locked: one goes on where the other was. */
static inline void range__history_inherit(struct range__leaf *to, struct range__leaf *from)
{
	atomic_store_explicit(&to->split_doublings,
			      atomic_load_explicit(&from->split_doublings, memory_order_relaxed),
			      memory_order_relaxed);
	range__set_score(to, 0);
	range__set_crossings(to, 0);
}

/*
 * The same for a leaf that a split has made, which begins at lo. The next sweep does not find it
 * cold.
 */
static inline void range__history_begin(struct range__leaf *leaf, struct range__leaf *from,
					uint64_t lo)
{
	range__history_inherit(leaf, from);
	atomic_store_explicit(&leaf->unbiased_cost, 0, memory_order_relaxed);
	range__set_last_owner(leaf, RANGE__OWNER_NEW);
	range__set_last_range(leaf, lo, lo);
}

#endif
