/* SPDX-License-Identifier: MIT */
#include "adapt.h"
#include "platform/platform.h"
#include "seams.h"

#include <errno.h>

enum {
	MAX_PATIENCE = 256, /* migrations before a split, at most */
	KEPT_PATIENCE =
		32,       /* below this, a leaf that is merged for a range comes back; 4 in vain */
	OVERLAP_COST = 4, /* what a migration to an overlapping range takes off the count */
	SWEEP_STEP = 2,   /* leaves looked at by the sweep per split */
};

/* Nanoseconds: more than it takes until each of many threads has had its turn on a core. */
static const uint64_t SWEEP_INTERVAL = UINT64_C(1000000000);

/* Owners that no thread is: nobody has used the leaf since the sweep passed, or since it came
 * about. */
static const uint64_t COLD = 0, NEW = UINT64_MAX;

/*
 * relaxed, in all of this file: patience, migrations and the last owner are guesses, any values do.
 */

void range__adapt_inherit(struct range__leaf *to, struct range__leaf *from)
{
	uint32_t a = atomic_load_explicit(&to->patience, memory_order_relaxed);
	uint32_t b = atomic_load_explicit(&from->patience, memory_order_relaxed);
	uint32_t patience = a > b ? a : b;

	atomic_store_explicit(&to->patience, patience, memory_order_relaxed);
	atomic_store_explicit(&to->migrations, 0, memory_order_relaxed);
}

static void scale_patience(struct range__leaf *leaf, uint32_t times, uint32_t by)
{
	uint32_t patience = atomic_load_explicit(&leaf->patience, memory_order_relaxed);

	patience = patience * times / by;
	if (patience > MAX_PATIENCE)
		patience = MAX_PATIENCE;
	if (patience < RANGE__PATIENCE)
		patience = RANGE__PATIENCE;
	atomic_store_explicit(&leaf->patience, patience, memory_order_relaxed);
	atomic_store_explicit(&leaf->migrations, 0, memory_order_relaxed);
}

bool range__adapt_used(struct range__leaf *leaf)
{
	uint64_t owner = atomic_load_explicit(&leaf->last_owner, memory_order_relaxed);

	return owner != COLD && owner != NEW;
}

bool range__adapt_merged(struct range__leaf *leaf, uint32_t used)
{
	if (used > 1 && range__adapt_used(leaf)) {
		scale_patience(leaf, 1, 2);
		return true;
	}
	scale_patience(leaf, 2, 1);
	return atomic_load_explicit(&leaf->patience, memory_order_relaxed) < KEPT_PATIENCE;
}

void range__adapt_restored(struct range__leaf *leaf)
{
	if (atomic_load_explicit(&leaf->last_owner, memory_order_relaxed) != COLD)
		atomic_store_explicit(&leaf->last_owner, NEW, memory_order_relaxed);
}

void range__adapt_visited(struct range__leaf *leaf, uint64_t start, uint64_t end)
{
	atomic_store_explicit(&leaf->last_start, start, memory_order_relaxed);
	atomic_store_explicit(&leaf->last_end, end, memory_order_relaxed);
}

/* Gives the keys of a vacant leaf to the one that follows it. Both are locked. */
static void merge_cold(struct range__forest *forest, uint32_t i, struct range__leaf *cold,
		       struct range__leaf *next)
{
	uint64_t lo = range__index_lo(forest, i);

	range__leaf_absorb(next, cold);
	range__index_remove(forest, i, 1);
	range__index_set(forest, i, lo, next);
	forest->merges++;
}

/*
 * One step: merges the leaf the sweep has come to, or marks it. A leaf whose owner is COLD has not
 * been used since it was marked: whoever acquires a range in it notes an owner.
 */
static void sweep_leaf(struct range__forest *forest)
{
	uint32_t i = range__index_search(forest, forest->sweep);
	struct range__leaf *leaf = range__index_leaf(forest, i), *next;

	if (i + 1 == range__index_count(forest)) {
		forest->sweep = UINT64_MAX;
		return;
	}
	range__leaf_lock(leaf);
	if (!range__leaf_vacant(leaf) || leaf->seams ||
	    atomic_load_explicit(&leaf->last_owner, memory_order_relaxed) != COLD) {
		atomic_store_explicit(&leaf->last_owner, COLD, memory_order_relaxed);
		range__leaf_unlock(leaf, NULL);
		forest->sweep = range__index_lo(forest, i + 1);
		return;
	}
	next = range__index_leaf(forest, i + 1);
	range__leaf_lock(next);
	merge_cold(forest, i, leaf, next);
	range__leaf_unlock(leaf, NULL);
	range__forest_free_leaf(forest, leaf);
	range__leaf_unlock(next, NULL);
}

/* Merges leaves that nobody has used from one sweep to the next, a few at a time. */
static void sweep(struct range__forest *forest)
{
	if (forest->sweep == UINT64_MAX) {
		uint64_t now = mmrange__now();

		if (now - forest->swept_at < SWEEP_INTERVAL)
			return;
		forest->swept_at = now;
		forest->sweep = 0;
	}
	for (int step = 0; step < SWEEP_STEP && forest->sweep != UINT64_MAX; step++)
		sweep_leaf(forest);
}

static bool can_split(struct range__leaf *leaf, uint64_t point)
{
	uint64_t lo = atomic_load_explicit(&leaf->lo, memory_order_relaxed);
	uint64_t hi = atomic_load_explicit(&leaf->hi, memory_order_relaxed);

	return lo < point && point < hi && !range__leaf_crossed(leaf, point);
}

/* A new leaf is not cold: the sweep leaves it alone for one round. */
static void begin(struct range__leaf *leaf, uint64_t lo, uint32_t patience)
{
	atomic_store_explicit(&leaf->patience, patience, memory_order_relaxed);
	atomic_store_explicit(&leaf->migrations, 0, memory_order_relaxed);
	atomic_store_explicit(&leaf->rent, 0, memory_order_relaxed);
	atomic_store_explicit(&leaf->last_owner, NEW, memory_order_relaxed);
	atomic_store_explicit(&leaf->last_start, lo, memory_order_relaxed);
	atomic_store_explicit(&leaf->last_end, lo, memory_order_relaxed);
}

/* Splits the leaf at entry i at one of two points, if possible. */
static void split_at(struct range_lock *lock, struct range__forest *forest, uint32_t i,
		     const uint64_t points[2])
{
	struct range__leaf *leaf = range__index_leaf(forest, i);
	struct range__leaf *right = range__forest_new_leaf(lock, forest);
	uint64_t point = points[0];

	if (!right) {
		scale_patience(leaf, MAX_PATIENCE, 1);
		return;
	}
	range__leaf_lock(right);
	range__leaf_lock(leaf);
	if (!can_split(leaf, point))
		point = points[1];
	if (range__seams_restore(forest, i) > 0) {
		range__forest_free_leaf(forest, right);
	} else if (can_split(leaf, point)) {
		range__leaf_split(leaf, point, right);
		range__seams_split(leaf, point, right);
		scale_patience(leaf, 1, 2);
		range__adapt_restored(leaf);
		begin(right, point, atomic_load_explicit(&leaf->patience, memory_order_relaxed));
		range__index_insert(forest, i + 1, right, 1);
		forest->splits++;
	} else {
		scale_patience(leaf, 2, 1);
		range__forest_free_leaf(forest, right);
	}
	range__leaf_unlock(leaf, NULL);
	range__leaf_unlock(right, NULL);
}

/* For a lock that has as many leaves as it may have, with seams: whether some came apart. */
static bool restore_at(struct range__forest *forest, uint32_t i)
{
	struct range__leaf *leaf = range__index_leaf(forest, i);
	uint32_t n;

	if (!leaf->seams)
		return false;
	range__leaf_lock(leaf);
	n = range__seams_restore(forest, i);
	range__leaf_unlock(leaf, NULL);
	return n > 0;
}

static void split(struct range_lock *lock, struct range__leaf *leaf, const uint64_t points[2])
{
	struct range__forest *forest;
	uint32_t i = 0;
	int saved = errno;

	/* Somebody else is at it: not worth waiting for, the next migration tries again. */
	if (pthread_mutex_trylock(&lock->mutex))
		return;
	atomic_store_explicit(&leaf->migrations, 0, memory_order_relaxed);
	forest = lock->max_leaves > 1 ? range__forest_get(lock) : NULL;
	if (forest)
		sweep(forest);
	if (forest)
		i = range__index_search(forest, points[0]);
	if (forest && range__index_count(forest) + forest->nr_seams < forest->capacity)
		split_at(lock, forest, i, points);
	else if (!forest || !restore_at(forest, i))
		scale_patience(leaf, 2, 1);
	pthread_mutex_unlock(&lock->mutex);
	errno = saved;
}

void range__adapt_note(struct range_lock *lock, struct range__leaf *leaf,
		       const struct range_hold *range)
{
	/* relaxed: all of this is a guess about where a split would help; any values do */
	uint64_t last_start = atomic_load_explicit(&leaf->last_start, memory_order_relaxed);
	uint64_t last_end = atomic_load_explicit(&leaf->last_end, memory_order_relaxed);
	uint64_t last = atomic_load_explicit(&leaf->last_owner, memory_order_relaxed);
	uint32_t migrations = atomic_load_explicit(&leaf->migrations, memory_order_relaxed);
	uint64_t points[2] = { range->start, last_end };

	atomic_store_explicit(&leaf->last_owner, range->owner, memory_order_relaxed);
	atomic_store_explicit(&leaf->last_start, range->start, memory_order_relaxed);
	atomic_store_explicit(&leaf->last_end, range->end, memory_order_relaxed);
	if (last == COLD || last == NEW)
		return;
	if (range->end <= last_start) {
		points[0] = last_start;
		points[1] = range->end;
	}
	if (range->end <= last_start || last_end <= range->start)
		migrations++;
	else
		migrations -= migrations < OVERLAP_COST ? migrations : OVERLAP_COST;
	atomic_store_explicit(&leaf->migrations, migrations, memory_order_relaxed);
	if (migrations >= atomic_load_explicit(&leaf->patience, memory_order_relaxed))
		split(lock, leaf, points);
}
