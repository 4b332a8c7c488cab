/* SPDX-License-Identifier: MIT */
#include "adapt.h"
#include "bounds.h"
#include "find.h"
#include "history.h"
#include "leaf_store.h"
#include "lock.h"
#include "platform/platform.h"
#include "platform/probe.h"
#include "short_lock.h"
#include "span.h"

#include <errno.h>

enum {
	/*
	 * What an acquisition by another thread takes off the score of a leaf: if its range
	 * overlaps the last one, and if it straddles a bound of the leaf and is disjoint from the
	 * last one.
	 */
	SCORE_OVERLAPPING = 4,
	SCORE_STRADDLING = 3,
	/*
	 * What a range that crosses the lower bound of a leaf adds to its crossings, and what a
	 * range inside the leaf takes off.
	 */
	CROSSINGS_ADDED = 2,
	CROSSINGS_EASED = 3,
	TOO_MANY_CROSSINGS = 200, /* the leaf is too fine */
	SHORT_SPAN = 8,           /* leaves that a short range has at most */
	SWEEP_STEP = 64,          /* leaves that a thread looks at in a sweep */
	SPLIT_POINTS = 3,         /* keys at which a leaf may be split, best first */
	/*
	 * A key is round enough to separate two ranges if it is a multiple of so many times their
	 * length.
	 */
	ROUND_FACTOR = 16,
};

/* Nanoseconds in which the budget grows by one. */
static const uint64_t CHANGE_INTERVAL = UINT64_C(4000000);

/* For how long a lock splits nothing after a leaf was too fine, in nanoseconds. */
static const uint64_t FIRST_CALM = UINT64_C(1000000), MAX_CALM = RANGE__SWEEP_INTERVAL;

/*
 * Under lock->mutex: whether the budget allows one more change. At once it allows twice as many as
 * there may be leaves. (A virtual schedule: ITU-T I.371, generic cell rate algorithm.)
 */
static bool may_change(struct range__forest *forest, uint64_t now)
{
	uint64_t window = 2 * (uint64_t)forest->capacity * CHANGE_INTERVAL;

	if (now > window && forest->spent < now - window)
		forest->spent = now - window;
	if (forest->spent > now)
		return false;
	forest->spent += CHANGE_INTERVAL;
	return true;
}

/* With both leaves locked: merges right, which is vacant, into the leaf before it. */
static void merge_leaves(struct range__lock *lock, struct range__leaf *leaf, uint32_t i,
			 struct range__leaf *right)
{
	struct range__forest *forest = range__forest_of(lock);

	MMRANGE__PROBE4(leaf_merge, lock, range__leaf_lo(leaf), range__leaf_lo(right),
			range__leaf_hi(right));
	range__leaf_absorb(leaf, right);
	range__set_score(leaf, 0);
	if (range__crossings(right) >= TOO_MANY_CROSSINGS)
		range__double_split_threshold(leaf);
	range__index_remove(forest, i, 1);
	forest->merges++;
}

/* Readers of a biased leaf leave no trace. Without the bias they do, until the next sweep. */
static bool is_leaf_wanted(struct range__lock *lock, struct range__leaf *leaf)
{
	bool biased = leaf->biased;

	range__bias_revoke_leaf(lock, leaf);
	return biased || !range__leaf_vacant(leaf);
}

/*
 * Merges the leaf of entry i into the one before if no thread has used it since the last sweep, and
 * marks it as cold otherwise. A thread that acquires a range in it notes itself as the owner.
 */
static bool sweep_one_leaf(struct range__lock *lock, struct range__forest *forest, uint32_t i,
			   uint64_t now)
{
	struct range__leaf *left = range__index_leaf(forest, i - 1);
	struct range__leaf *leaf = range__index_leaf(forest, i);
	bool merged;

	range__leaf_lock(left);
	range__leaf_lock(leaf);
	merged = range__last_owner(leaf) == RANGE__OWNER_COLD && !is_leaf_wanted(lock, leaf) &&
		 may_change(forest, now);
	if (merged) {
		range__bias_revoke_leaf(lock, left);
		merge_leaves(lock, left, i, leaf);
	} else {
		range__set_last_owner(leaf, RANGE__OWNER_COLD);
	}
	range__leaf_unlock(leaf, NULL);
	range__leaf_unlock(left, NULL);
	if (merged)
		range__store_give(forest, leaf);
	return merged;
}

/* Under lock->mutex: goes on with a sweep, or begins one if it is due. */
static void continue_sweep(struct range__lock *lock, struct range__forest *forest, uint64_t now)
{
	if (now < atomic_load_explicit(&forest->sweep_due, memory_order_relaxed))
		return;
	for (int step = 0; step < SWEEP_STEP && forest->sweep < range__index_count(forest); step++)
		if (!sweep_one_leaf(lock, forest, forest->sweep, now))
			forest->sweep++;
	if (forest->sweep < range__index_count(forest))
		return;
	forest->sweep = 1;
	forest->calm /= 2;
	atomic_store_explicit(&forest->sweep_due, now + RANGE__SWEEP_INTERVAL,
			      memory_order_relaxed);
}

/* Each leaf that was too fine doubles the time, and each sweep halves it. */
static void prolong_calm(struct range__forest *forest, uint64_t now)
{
	uint64_t calm = 2 * forest->calm;

	forest->calm = calm < FIRST_CALM ? FIRST_CALM : calm > MAX_CALM ? MAX_CALM : calm;
	forest->calm_until = now + forest->calm;
}

/* Under lock->mutex, for the leaf of entry i. If it is not merged, its crossings begin anew. */
static void merge_if_too_fine(struct range__lock *lock, struct range__forest *forest, uint32_t i)
{
	struct range__leaf *left = range__index_leaf(forest, i - 1);
	struct range__leaf *leaf = range__index_leaf(forest, i);
	uint64_t now = mmrange__now();
	bool merged;

	range__leaf_lock(left);
	range__leaf_lock(leaf);
	merged = range__crossings(leaf) >= TOO_MANY_CROSSINGS && !leaf->biased &&
		 range__leaf_vacant(leaf) && may_change(forest, now);
	if (merged) {
		range__bias_revoke_leaf(lock, left);
		merge_leaves(lock, left, i, leaf);
		forest->sweep -= i < forest->sweep;
		prolong_calm(forest, now);
	} else {
		range__set_crossings(leaf, 0);
	}
	range__leaf_unlock(leaf, NULL);
	range__leaf_unlock(left, NULL);
	if (merged)
		range__store_give(forest, leaf);
}

void range__adapt_merge_too_fine(struct range__lock *lock)
{
	/* acquire: as in range__index_find() */
	struct range__forest *forest = atomic_load_explicit(&lock->forest, memory_order_acquire);
	uint32_t i;

	if (!forest || !atomic_load_explicit(&forest->too_fine, memory_order_relaxed) ||
	    !range__short_trylock(&lock->mutex))
		return;
	i = range__index_search(forest,
				atomic_load_explicit(&forest->too_fine, memory_order_relaxed));
	atomic_store_explicit(&forest->too_fine, 0, memory_order_relaxed);
	if (i > 0)
		merge_if_too_fine(lock, forest, i);
	range__short_unlock(&lock->mutex);
}

static bool can_split_at(struct range__leaf *leaf, uint64_t point)
{
	return range__leaf_lo(leaf) < point && point < range__leaf_hi(leaf) &&
	       !range__leaf_crossed(leaf, point);
}

/*
 * With both leaves locked: splits leaf at the first of the points where that is possible, and gives
 * the upper part to right.
 */
static bool split_at_first(struct range__lock *lock, struct range__leaf *leaf,
			   const uint64_t points[SPLIT_POINTS], struct range__leaf *right)
{
	int i = 0;

	while (i < SPLIT_POINTS && !can_split_at(leaf, points[i]))
		i++;
	if (i == SPLIT_POINTS)
		return false;
	MMRANGE__PROBE4(leaf_split, lock, range__leaf_lo(leaf), points[i], range__leaf_hi(leaf));
	range__leaf_split(leaf, points[i], right);
	range__history_begin(right, leaf, points[i]);
	return true;
}

/* Under lock->mutex, for the leaf of entry i. */
static void split_entry(struct range__lock *lock, struct range__forest *forest, uint32_t i,
			const uint64_t points[SPLIT_POINTS])
{
	struct range__leaf *leaf = range__index_leaf(forest, i);
	struct range__leaf *right = range__store_take(lock, forest);

	if (!right) {
		range__double_split_threshold(leaf);
		return;
	}
	range__leaf_lock(leaf);
	range__leaf_lock(right);
	range__bias_revoke_leaf(lock, leaf);
	if (split_at_first(lock, leaf, points, right)) {
		range__index_insert(forest, i + 1, right, 1);
		/* A sweep must not come to a leaf that it has just marked as cold. */
		forest->sweep += i + 1 < forest->sweep;
		forest->splits++;
	} else {
		range__double_split_threshold(leaf);
		range__store_give(forest, right);
	}
	range__leaf_unlock(right, NULL);
	range__leaf_unlock(leaf, NULL);
}

static bool may_split(struct range__forest *forest, uint64_t now)
{
	return range__index_count(forest) < forest->capacity && now >= forest->calm_until &&
	       may_change(forest, now);
}

/*
 * Under lock->mutex: the forest; where no hook may be called, only one with a leaf to spare. Or
 * NULL.
 */
static struct range__forest *forest_for(struct range__lock *lock, enum range__memory memory)
{
	struct range__forest *forest = range__forest_of(lock);

	if (memory == RANGE__NO_MEMORY)
		return forest && forest->free ? forest : NULL;
	return range__max_leaves(lock) > 1 ? range__forest_get(lock) : NULL;
}

static void try_split(struct range__lock *lock, struct range__leaf *leaf,
		      const uint64_t points[SPLIT_POINTS], enum range__memory memory)
{
	uint64_t now = mmrange__now();
	struct range__forest *forest;
	int saved = errno;

	/* Another thread changes the leaves: the next collision tries again. */
	if (!range__short_trylock(&lock->mutex))
		return;
	range__set_score(leaf, 0);
	forest = forest_for(lock, memory);
	if (forest)
		continue_sweep(lock, forest, now);
	if (forest && may_split(forest, now))
		split_entry(lock, forest, range__index_search(forest, points[1]), points);
	else if (memory == RANGE__MEMORY)
		range__double_split_threshold(leaf);
	range__short_unlock(&lock->mutex);
	errno = saved;
}

/* For a range that spans leaves: goes on with a sweep, or begins one if it is due. */
static void sweep_if_due(struct range__lock *lock)
{
	/* acquire: as in range__index_find() */
	struct range__forest *forest = atomic_load_explicit(&lock->forest, memory_order_acquire);
	uint64_t now = mmrange__now();

	if (!forest || now < atomic_load_explicit(&forest->sweep_due, memory_order_relaxed) ||
	    !range__short_trylock(&lock->mutex))
		return;
	continue_sweep(lock, forest, now);
	range__short_unlock(&lock->mutex);
}

/*
 * For a leaf that the range straddles, and that another thread used last. If the last range was
 * disjoint, a split between the two is no worse for this one.
 */
static void note_straddled(struct range__leaf *leaf, const struct range__hold *range)
{
	bool overlaps = range__overlaps_last(leaf, range);

	range__set_last_owner(leaf, (uint32_t)range->owner);
	range__set_last_range(leaf, range->start, range->end);
	if (overlaps)
		range__double_split_threshold(leaf);
	range__lower_score(leaf, overlaps ? SCORE_OVERLAPPING : SCORE_STRADDLING);
}

static bool is_short(const struct range__hold *range)
{
	struct range__leaf *leaf = range->leaf[0];
	unsigned int n = 1;

	for (; leaf && leaf != range->leaf[1] && n < SHORT_SPAN; n++)
		leaf = range__leaf_right(leaf);
	return leaf == range->leaf[1];
}

static void add_crossing(struct range__lock *lock, struct range__leaf *leaf)
{
	unsigned int crossings = range__crossings(leaf) + CROSSINGS_ADDED;

	if (crossings < TOO_MANY_CROSSINGS) {
		range__set_crossings(leaf, crossings);
		return;
	}
	range__set_crossings(leaf, TOO_MANY_CROSSINGS);
	atomic_store_explicit(&range__forest_of(lock)->too_fine, range__leaf_lo(leaf),
			      memory_order_relaxed);
}

/* The leaves inside a short range are too fine for it. */
static void note_covered(struct range__lock *lock, const struct range__hold *range)
{
	struct range__leaf *leaf = range__leaf_right(range->leaf[0]);

	for (; leaf && leaf != range->leaf[1]; leaf = range__leaf_right(leaf)) {
		if (range__last_owner(leaf) == (uint32_t)range->owner)
			continue;
		range__set_last_owner(leaf, (uint32_t)range->owner);
		range__lower_score(leaf, SCORE_OVERLAPPING);
		add_crossing(lock, leaf);
	}
}

static void note_wide(struct range__lock *lock, const struct range__hold *range)
{
	bool far = range__leaf_right(range->leaf[0]) != range->leaf[1];

	if (range__last_owner(range->leaf[1]) != (uint32_t)range->owner)
		add_crossing(lock, range->leaf[1]);
	for (int i = 0; i < 2; i++)
		if (range__last_owner(range->leaf[i]) != (uint32_t)range->owner)
			note_straddled(range->leaf[i], range);
	if (!far)
		return;
	if (is_short(range))
		note_covered(lock, range);
	sweep_if_due(lock);
}

/* The key from low to high with the most zero bits at its end. 0 < low <= high. */
static uint64_t roundest_key(uint64_t low, uint64_t high)
{
	uint64_t differ = (low - 1) ^ high;

	/* high down to the highest bit that low - 1 does not have. */
	return high & ~((UINT64_C(1) << (63 - __builtin_clzll(differ))) - 1);
}

/* The greatest power of two that divides key, which is not 0. */
static uint64_t alignment_of(uint64_t key)
{
	return key & -key;
}

/*
 * Where to split between two disjoint ranges. Threads that have places of their own use more of
 * them later. So the best point is not at an end of a range but where such places are likely to
 * meet, at a round key. No range that is as aligned as it is long crosses such a key; other ranges
 * seldom do, if the key is much rounder than they are long.
 */
static void find_points(const struct range__hold *range, uint64_t last_start, uint64_t last_end,
			uint64_t points[SPLIT_POINTS])
{
	bool below = range->end <= last_start;
	uint64_t low = below ? range->end : last_end;
	uint64_t high = below ? last_start : range->start;
	uint64_t length = range->end - range->start, last_length = last_end - last_start;
	uint64_t longest = length > last_length ? length : last_length;
	uint64_t round = roundest_key(low, high);

	if (longest > alignment_of(range->start | range->end | last_start | last_end) &&
	    longest > alignment_of(round) / ROUND_FACTOR)
		round = high;
	points[0] = round;
	points[1] = high;
	points[2] = low;
}

static void note_single(struct range__lock *lock, struct range__leaf *leaf,
			const struct range__hold *range, enum range__memory memory)
{
	uint64_t last_start = range__last_start(leaf);
	uint64_t last_end = range__last_end(leaf);
	uint64_t points[SPLIT_POINTS];
	uint32_t last = range__last_owner(leaf);
	unsigned int crossings = range__crossings(leaf);

	range__set_last_owner(leaf, (uint32_t)range->owner);
	range__set_last_range(leaf, range->start, range->end);
	range__set_crossings(leaf, crossings > CROSSINGS_EASED ? crossings - CROSSINGS_EASED : 0);
	/* After a split, the last range may be in another leaf. */
	if (last == RANGE__OWNER_COLD || last == RANGE__OWNER_NEW ||
	    last_end <= range__leaf_lo(leaf) || last_start >= range__leaf_hi(leaf))
		return;
	if (range__overlap(range, last_start, last_end)) {
		range__lower_score(leaf, SCORE_OVERLAPPING);
		return;
	}
	range__set_score(leaf, range__score(leaf) + RANGE__SCORE_DISJOINT);
	if (range__score(leaf) < range__split_threshold(leaf))
		return;
	find_points(range, last_start, last_end, points);
	try_split(lock, leaf, points, memory);
}

void range__adapt_note(struct range__lock *lock, const struct range__hold *range,
		       enum range__memory memory)
{
	if (range__is_wide(range))
		note_wide(lock, range);
	else if (range__last_owner(range->leaf[0]) != (uint32_t)range->owner)
		note_single(lock, range->leaf[0], range, memory);
}
