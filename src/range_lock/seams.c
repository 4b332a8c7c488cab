/* SPDX-License-Identifier: MIT */
#include "seams.h"
#include "adapt.h"

/* relaxed: under the leaf's lock, or lock->mutex (R2) */
static uint64_t lower_bound(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->lo, memory_order_relaxed);
}

static uint64_t upper_bound(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->hi, memory_order_relaxed);
}

/* How many of n leaves from entry i on have been used since they came about. */
static uint32_t count_used(struct range__forest *forest, uint32_t i, uint32_t n)
{
	uint32_t used = 0;

	for (uint32_t k = 0; k < n; k++)
		used += range__adapt_used(range__index_leaf(forest, i + k));
	return used;
}

static struct range__leaf **end_of(struct range__leaf **list)
{
	while (*list)
		list = &(*list)->next;
	return list;
}

void range__seams_merge(struct range__forest *forest, uint32_t i, uint32_t n)
{
	struct range__leaf *leaf = range__index_leaf(forest, i);
	struct range__leaf **end = end_of(&leaf->seams);
	uint32_t used = count_used(forest, i, n + 1);

	range__adapt_merged(leaf, used);
	for (uint32_t k = 1; k <= n; k++) {
		struct range__leaf *next = range__index_leaf(forest, i + k);
		struct range__leaf *seams = next->seams;

		range__leaf_absorb(leaf, next);
		next->seams = NULL;
		if (range__adapt_merged(next, used)) {
			*end = next;
			next->next = seams;
			forest->nr_seams++;
			range__leaf_unlock(next, NULL);
		} else {
			*end = seams;
			range__adapt_inherit(leaf, next);
			range__leaf_unlock(next, NULL);
			range__forest_free_leaf(forest, next);
		}
		end = end_of(end);
	}
	range__index_remove(forest, i + 1, n);
	forest->merges += n;
}

/* The same list, from its end to its beginning. */
static struct range__leaf *reversed(struct range__leaf *list)
{
	struct range__leaf *result = NULL, *next;

	for (; list; list = next) {
		next = list->next;
		list->next = result;
		result = list;
	}
	return result;
}

/* Downwards, so that what is above each seam moves once. */
uint32_t range__seams_restore(struct range__forest *forest, uint32_t i)
{
	struct range__leaf *leaf = range__index_leaf(forest, i);
	struct range__leaf *crossed = NULL, *apart = NULL, *seam, *next;
	uint32_t n = 0;

	for (seam = reversed(leaf->seams); seam; seam = next) {
		next = seam->next;
		if (range__leaf_crossed(leaf, lower_bound(seam))) {
			seam->next = crossed;
			crossed = seam;
			continue;
		}
		range__leaf_lock(seam);
		range__leaf_split(leaf, lower_bound(seam), seam);
		range__adapt_restored(seam);
		seam->seams = crossed;
		crossed = NULL;
		seam->next = apart;
		apart = seam;
		n++;
	}
	leaf->seams = crossed;
	if (n == 0)
		return 0;
	range__adapt_restored(leaf);
	range__index_insert(forest, i + 1, apart, n);
	forest->nr_seams -= n;
	forest->splits += n;
	for (; apart; apart = next) {
		next = apart->next;
		apart->fair_at = leaf->fair_at;
		range__leaf_unlock(apart, NULL);
	}
	return n;
}

/* Whether nothing crosses the first seam, which may have been missed, or one in [start, end). */
static bool any_free(struct range__leaf *leaf, uint64_t start, uint64_t end)
{
	for (struct range__leaf *seam = leaf->seams; seam; seam = seam->next) {
		uint64_t point = lower_bound(seam);

		if (point >= end && seam != leaf->seams)
			return false;
		if ((point > start || seam == leaf->seams) && !range__leaf_crossed(leaf, point))
			return true;
	}
	return false;
}

void range__seams_released(struct range_lock *lock, struct range__leaf *leaf, uint64_t start,
			   uint64_t end)
{
	struct range__forest *forest;

	if (range__leaf_biased(leaf) || !any_free(leaf, start, end) ||
	    pthread_mutex_trylock(&lock->mutex))
		return;
	forest = range__forest_of(lock);
	range__seams_restore(forest, range__index_search(forest, lower_bound(leaf)));
	pthread_mutex_unlock(&lock->mutex);
}

void range__seams_split(struct range__leaf *leaf, uint64_t point, struct range__leaf *right)
{
	struct range__leaf **seam = &leaf->seams;

	while (*seam && lower_bound(*seam) < point)
		seam = &(*seam)->next;
	right->seams = *seam;
	*seam = NULL;
}

bool range__seams_valid(struct range__leaf *leaf, uint32_t *n)
{
	uint64_t last = lower_bound(leaf);

	for (struct range__leaf *seam = leaf->seams; seam; seam = seam->next) {
		uint64_t point = lower_bound(seam);

		if (point <= last || upper_bound(seam) != point || seam->seams ||
		    !range__leaf_vacant(seam))
			return false;
		last = point;
		++*n;
	}
	return !leaf->seams || last < upper_bound(leaf);
}
