/* SPDX-License-Identifier: MIT */
#include "adapt.h"
#include "lock.h"
#include "platform/platform.h"
#include "short_lock.h"
#include "span.h"

#include <errno.h>

enum {
	/* What an acquisition adds to a score if it is disjoint from the last one, what it takes off if
	 * it is not, and if it is, but straddles. */
	DISJOINT = 4,
	OVERLAPPING = 4,
	STRADDLING = 3,
	FIRST_PATIENCE = 2 * DISJOINT,
	MAX_DOUBLINGS = 7,
	/* What a range that comes from the leaf before adds to a strain, and what one in the leaf alone
	 * takes off. */
	CROSSING = 2,
	SINGLE_EASE = 3,
	MAX_STRAIN = 200, /* from which on a leaf is too fine */
	SHORT_SPAN = 8,   /* leaves that a short range has at most */
	SWEEP_STEP = 64,  /* leaves that a thread looks at in a sweep */
	SPLIT_POINTS = 3, /* where a leaf may be split, best first */
	/* The key that two ranges are kept apart at is a multiple of so many times their length. */
	ROUND_FACTOR = 16,
};

/* Nanoseconds in which the budget grows by one. */
static const uint64_t CHANGE_INTERVAL = UINT64_C(4000000);

/* For how long nothing is split after a leaf was too fine, in nanoseconds. */
static const uint64_t FIRST_CALM = UINT64_C(1000000), MAX_CALM = RANGE__SWEEP_INTERVAL;

/* Owners that no thread is: none has used the leaf since the sweep passed, or since it came about. */
static const uint32_t COLD = 0, NEW = UINT32_MAX;

/*
 * relaxed, in all of this file: the score, patience, strain and last owner are guesses, any values do.
 */

static unsigned int score_of(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->score, memory_order_relaxed);
}

static void set_score(struct range__leaf *leaf, unsigned int score)
{
	atomic_store_explicit(&leaf->score, (uint16_t)score, memory_order_relaxed);
}

static void lower_score(struct range__leaf *leaf, unsigned int by)
{
	unsigned int score = score_of(leaf);

	if (score > 0)
		set_score(leaf, score > by ? score - by : 0);
}

/* patience is how often it has doubled. */
static unsigned int patience_of(struct range__leaf *leaf)
{
	return (unsigned int)FIRST_PATIENCE
	       << atomic_load_explicit(&leaf->patience, memory_order_relaxed);
}

static void double_patience(struct range__leaf *leaf)
{
	uint8_t doublings = atomic_load_explicit(&leaf->patience, memory_order_relaxed);

	if (doublings < MAX_DOUBLINGS)
		atomic_store_explicit(&leaf->patience, (uint8_t)(doublings + 1),
				      memory_order_relaxed);
}

static unsigned int strain_of(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->strain, memory_order_relaxed);
}

static void set_strain(struct range__leaf *leaf, unsigned int strain)
{
	if (strain != strain_of(leaf))
		atomic_store_explicit(&leaf->strain, (uint8_t)strain, memory_order_relaxed);
}

static uint32_t owner_of(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->last_owner, memory_order_relaxed);
}

static void set_owner(struct range__leaf *leaf, uint32_t owner)
{
	atomic_store_explicit(&leaf->last_owner, owner, memory_order_relaxed);
}

static void set_last(struct range__leaf *leaf, uint64_t start, uint64_t end)
{
	atomic_store_explicit(&leaf->last_start, start, memory_order_relaxed);
	atomic_store_explicit(&leaf->last_end, end, memory_order_relaxed);
}

void range__adapt_inherit(struct range__leaf *to, struct range__leaf *from)
{
	atomic_store_explicit(&to->patience,
			      atomic_load_explicit(&from->patience, memory_order_relaxed),
			      memory_order_relaxed);
	set_score(to, 0);
	set_strain(to, 0);
}

/* Under lock->mutex: whether the budget allows one change more. As many as twice the leaves may come at
 * once. (A virtual schedule: ITU-T I.371, generic cell rate algorithm.) */
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

/* With both leaves locked, and right vacant: merges it into the one before. */
static void merge(struct range__forest *forest, struct range__leaf *leaf, uint32_t i,
		  struct range__leaf *right)
{
	range__leaf_absorb(leaf, right);
	set_score(leaf, 0);
	if (strain_of(right) >= MAX_STRAIN)
		double_patience(leaf);
	range__index_remove(forest, i, 1);
	forest->merges++;
}

/* In a biased leaf, readers note nothing: they do so from now on, until the next sweep. */
static bool is_wanted(struct range__lock *lock, struct range__leaf *leaf)
{
	bool biased = range__leaf_biased(leaf);

	range__leaf_revoke(lock, leaf);
	return biased || !range__leaf_vacant(leaf);
}

/*
 * The leaf of entry i: merges it into the one before it if it has been unused since the last sweep,
 * otherwise marks it. Any thread that acquires a range in it notes an owner.
 */
static bool sweep_leaf(struct range__lock *lock, struct range__forest *forest, uint32_t i,
		       uint64_t now)
{
	struct range__leaf *left = range__index_leaf(forest, i - 1);
	struct range__leaf *leaf = range__index_leaf(forest, i);
	bool merged;

	range__leaf_lock(left);
	range__leaf_lock(leaf);
	merged = owner_of(leaf) == COLD && !is_wanted(lock, leaf) && may_change(forest, now);
	if (merged) {
		range__leaf_revoke(lock, left);
		merge(forest, left, i, leaf);
	} else {
		set_owner(leaf, COLD);
	}
	range__leaf_unlock(leaf, NULL);
	range__leaf_unlock(left, NULL);
	if (merged)
		range__forest_free_leaf(forest, leaf);
	return merged;
}

/* Under lock->mutex: goes on with a sweep, or begins one if it is time. */
static void sweep(struct range__lock *lock, struct range__forest *forest, uint64_t now)
{
	if (now < atomic_load_explicit(&forest->sweep_due, memory_order_relaxed))
		return;
	for (int step = 0; step < SWEEP_STEP && forest->sweep < range__index_count(forest); step++)
		if (!sweep_leaf(lock, forest, forest->sweep, now))
			forest->sweep++;
	if (forest->sweep < range__index_count(forest))
		return;
	forest->sweep = 1;
	forest->calm /= 2;
	atomic_store_explicit(&forest->sweep_due, now + RANGE__SWEEP_INTERVAL,
			      memory_order_relaxed);
}

/* Doubled by each leaf that was too fine, and halved by each sweep. */
static void calm_down(struct range__forest *forest, uint64_t now)
{
	uint64_t calm = 2 * forest->calm;

	forest->calm = calm < FIRST_CALM ? FIRST_CALM : calm > MAX_CALM ? MAX_CALM : calm;
	forest->calm_until = now + forest->calm;
}

/* Under lock->mutex: the leaf of entry i. Without a merge its strain begins anew. */
static void relieve(struct range__lock *lock, struct range__forest *forest, uint32_t i)
{
	struct range__leaf *left = range__index_leaf(forest, i - 1);
	struct range__leaf *leaf = range__index_leaf(forest, i);
	uint64_t now = mmrange__now();
	bool merged;

	range__leaf_lock(left);
	range__leaf_lock(leaf);
	merged = strain_of(leaf) >= MAX_STRAIN && !range__leaf_biased(leaf) &&
		 range__leaf_vacant(leaf) && may_change(forest, now);
	if (merged) {
		range__leaf_revoke(lock, left);
		merge(forest, left, i, leaf);
		forest->sweep -= i < forest->sweep;
		calm_down(forest, now);
	} else {
		set_strain(leaf, 0);
	}
	range__leaf_unlock(leaf, NULL);
	range__leaf_unlock(left, NULL);
	if (merged)
		range__forest_free_leaf(forest, leaf);
}

void range__adapt_relieve(struct range__lock *lock)
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
		relieve(lock, forest, i);
	range__short_unlock(&lock->mutex);
}

static bool can_split(struct range__leaf *leaf, uint64_t point)
{
	return range__leaf_lo(leaf) < point && point < range__leaf_hi(leaf) &&
	       !range__leaf_crossed(leaf, point);
}

/* A new leaf is not cold: the sweep leaves it alone for one round. */
static void begin(struct range__leaf *leaf, struct range__leaf *from, uint64_t lo)
{
	range__adapt_inherit(leaf, from);
	atomic_store_explicit(&leaf->rent, 0, memory_order_relaxed);
	set_owner(leaf, NEW);
	set_last(leaf, lo, lo);
}

/* With both leaves locked: splits one of them at the first of the points where that is possible. */
static bool split_in_two(struct range__leaf *leaf, const uint64_t points[SPLIT_POINTS],
			 struct range__leaf *right)
{
	int i = 0;

	while (i < SPLIT_POINTS && !can_split(leaf, points[i]))
		i++;
	if (i == SPLIT_POINTS)
		return false;
	range__leaf_split(leaf, points[i], right);
	begin(right, leaf, points[i]);
	return true;
}

/* Under lock->mutex: the leaf at entry i. */
static void split_at(struct range__lock *lock, struct range__forest *forest, uint32_t i,
		     const uint64_t points[SPLIT_POINTS])
{
	struct range__leaf *leaf = range__index_leaf(forest, i);
	struct range__leaf *right = range__forest_new_leaf(lock, forest);

	if (!right) {
		double_patience(leaf);
		return;
	}
	range__leaf_lock(leaf);
	range__leaf_lock(right);
	range__leaf_revoke(lock, leaf);
	if (split_in_two(leaf, points, right)) {
		range__index_insert(forest, i + 1, right, 1);
		/* A sweep must not come to a leaf that it has just marked as cold. */
		forest->sweep += i + 1 < forest->sweep;
		forest->splits++;
	} else {
		double_patience(leaf);
		range__forest_free_leaf(forest, right);
	}
	range__leaf_unlock(right, NULL);
	range__leaf_unlock(leaf, NULL);
}

static bool may_split(struct range__forest *forest, uint64_t now)
{
	return range__index_count(forest) < forest->capacity && now >= forest->calm_until &&
	       may_change(forest, now);
}

/* Under lock->mutex: the forest. Without memory, only one that has a leaf to spare: else NULL. */
static struct range__forest *forest_for(struct range__lock *lock, enum range__memory memory)
{
	struct range__forest *forest = range__forest_of(lock);

	if (memory == RANGE__NO_MEMORY)
		return forest && forest->free ? forest : NULL;
	return range__max_leaves(lock) > 1 ? range__forest_get(lock) : NULL;
}

static void split(struct range__lock *lock, struct range__leaf *leaf,
		  const uint64_t points[SPLIT_POINTS], enum range__memory memory)
{
	uint64_t now = mmrange__now();
	struct range__forest *forest;
	int saved = errno;

	/* Another thread is at it: not worth waiting for, the next collision tries again. */
	if (!range__short_trylock(&lock->mutex))
		return;
	set_score(leaf, 0);
	forest = forest_for(lock, memory);
	if (forest)
		sweep(lock, forest, now);
	if (forest && may_split(forest, now))
		split_at(lock, forest, range__index_search(forest, points[1]), points);
	else if (memory == RANGE__MEMORY)
		double_patience(leaf);
	range__short_unlock(&lock->mutex);
	errno = saved;
}

/* A range that spans leaves: goes on with a sweep, or begins one if it is time. */
static void sweep_if_due(struct range__lock *lock)
{
	/* acquire: as in range__index_find() */
	struct range__forest *forest = atomic_load_explicit(&lock->forest, memory_order_acquire);
	uint64_t now = mmrange__now();

	if (!forest || now < atomic_load_explicit(&forest->sweep_due, memory_order_relaxed) ||
	    !range__short_trylock(&lock->mutex))
		return;
	sweep(lock, forest, now);
	range__short_unlock(&lock->mutex);
}

static bool overlaps_last(struct range__leaf *leaf, const struct range__hold *range)
{
	return range__overlap(range, atomic_load_explicit(&leaf->last_start, memory_order_relaxed),
			      atomic_load_explicit(&leaf->last_end, memory_order_relaxed));
}

/* What the range is to a leaf of it that another thread used last. If the last range was disjoint, a
 * split between the two is no worse for this one. */
static void note_straddled(struct range__leaf *leaf, const struct range__hold *range)
{
	bool overlaps = overlaps_last(leaf, range);

	set_owner(leaf, (uint32_t)range->owner);
	set_last(leaf, range->start, range->end);
	if (overlaps)
		double_patience(leaf);
	lower_score(leaf, overlaps ? OVERLAPPING : STRADDLING);
}

static bool is_short(const struct range__hold *range)
{
	struct range__leaf *leaf = range->leaf[0];
	unsigned int n = 1;

	for (; leaf && leaf != range->leaf[1] && n < SHORT_SPAN; n++)
		leaf = range__leaf_right(leaf);
	return leaf == range->leaf[1];
}

static void add_strain(struct range__lock *lock, struct range__leaf *leaf)
{
	unsigned int strain = strain_of(leaf) + CROSSING;

	if (strain < MAX_STRAIN) {
		set_strain(leaf, strain);
		return;
	}
	set_strain(leaf, MAX_STRAIN);
	atomic_store_explicit(&range__forest_of(lock)->too_fine, range__leaf_lo(leaf),
			      memory_order_relaxed);
}

/* The leaves between, which a short range covers, are too fine for it. */
static void note_covered(struct range__lock *lock, const struct range__hold *range)
{
	struct range__leaf *leaf = range__leaf_right(range->leaf[0]);

	for (; leaf && leaf != range->leaf[1]; leaf = range__leaf_right(leaf)) {
		if (owner_of(leaf) == (uint32_t)range->owner)
			continue;
		set_owner(leaf, (uint32_t)range->owner);
		lower_score(leaf, OVERLAPPING);
		add_strain(lock, leaf);
	}
}

static void note_wide(struct range__lock *lock, const struct range__hold *range)
{
	bool far = range__leaf_right(range->leaf[0]) != range->leaf[1];

	if (owner_of(range->leaf[1]) != (uint32_t)range->owner)
		add_strain(lock, range->leaf[1]);
	for (int i = 0; i < 2; i++)
		if (owner_of(range->leaf[i]) != (uint32_t)range->owner)
			note_straddled(range->leaf[i], range);
	if (!far)
		return;
	if (is_short(range))
		note_covered(lock, range);
	sweep_if_due(lock);
}

/* The key from low to high, which is not below low, with the most zeros at its end. low is not 0. */
static uint64_t roundest(uint64_t low, uint64_t high)
{
	uint64_t differ = (low - 1) ^ high;

	/* Of high, the highest bit that low - 1 does not have, and what is above it. */
	return high & ~((UINT64_C(1) << (63 - __builtin_clzll(differ))) - 1);
}

/* The greatest power of two that divides key, which is not 0. */
static uint64_t alignment(uint64_t key)
{
	return key & -key;
}

/*
 * Where to split for two disjoint ranges, below being the lower one. Threads that have places of their own
 * use more of them later: so the best point is not at an end of a range, but where such places are likely to
 * meet, at a round key. No range that is as aligned as it is long crosses one; others do so seldom if the
 * key is much rounder than they are long.
 */
static void find_points(const struct range__hold *range, uint64_t last_start, uint64_t last_end,
			uint64_t points[SPLIT_POINTS])
{
	bool below = range->end <= last_start;
	uint64_t low = below ? range->end : last_end;
	uint64_t high = below ? last_start : range->start;
	uint64_t length = range->end - range->start, last_length = last_end - last_start;
	uint64_t longest = length > last_length ? length : last_length;
	uint64_t round = roundest(low, high);

	if (longest > alignment(range->start | range->end | last_start | last_end) &&
	    longest > alignment(round) / ROUND_FACTOR)
		round = high;
	points[0] = round;
	points[1] = high;
	points[2] = low;
}

static void note_single(struct range__lock *lock, struct range__leaf *leaf,
			const struct range__hold *range, enum range__memory memory)
{
	uint64_t last_start = atomic_load_explicit(&leaf->last_start, memory_order_relaxed);
	uint64_t last_end = atomic_load_explicit(&leaf->last_end, memory_order_relaxed);
	uint64_t points[SPLIT_POINTS];
	uint32_t last = owner_of(leaf);
	unsigned int strain = strain_of(leaf);

	set_owner(leaf, (uint32_t)range->owner);
	set_last(leaf, range->start, range->end);
	set_strain(leaf, strain > SINGLE_EASE ? strain - SINGLE_EASE : 0);
	/* After a split, the last range may be in another leaf. */
	if (last == COLD || last == NEW || last_end <= range__leaf_lo(leaf) ||
	    last_start >= range__leaf_hi(leaf))
		return;
	if (range__overlap(range, last_start, last_end)) {
		lower_score(leaf, OVERLAPPING);
		return;
	}
	set_score(leaf, score_of(leaf) + DISJOINT);
	if (score_of(leaf) < patience_of(leaf))
		return;
	find_points(range, last_start, last_end, points);
	split(lock, leaf, points, memory);
}

void range__adapt_note(struct range__lock *lock, const struct range__hold *range,
		       enum range__memory memory)
{
	if (range__is_wide(range))
		note_wide(lock, range);
	else if (owner_of(range->leaf[0]) != (uint32_t)range->owner)
		note_single(lock, range->leaf[0], range, memory);
}
