/* SPDX-License-Identifier: MIT */
#include "forest.h"
#include "bias.h"
#include "bounds.h"
#include "find.h"
#include "history.h"
#include "leaf_store.h"
#include "lock.h"
#include "platform/platform.h"
#include "request.h"
#include "short_lock.h"
#include "slots.h"
#include "waiters.h"

#include <errno.h>

/*
 * Locks both leaves, and moves everything from lock->root to the first leaf of the forest. The root
 * owns all keys, so it counts all claims of the lock, and so does the new leaf.
 */
static void move_root(struct range__lock *lock, struct range__leaf *leaf)
{
	range__leaf_lock(&lock->root);
	range__leaf_lock(leaf);
	range__bias_revoke_leaf(lock, &lock->root);
	range__leaf_split(&lock->root, 0, leaf);
	leaf->nr_claims = lock->root.nr_claims;
	lock->root.nr_claims = 0;
	/* The fast path does not look at the root's bounds: its word must stay TREE. */
	lock->root.covers = RANGE__COVERS_WRITER;
	range__history_inherit(leaf, &lock->root);
}

static struct range__forest *new_forest(struct range__lock *lock)
{
	struct range__forest *forest = range__store_create(lock, range__max_leaves(lock));
	struct range__leaf *leaf;

	if (!forest)
		return NULL;
	forest->sweep = 1;
	atomic_init(&forest->too_fine, 0);
	atomic_init(&forest->sweep_due, mmrange__now() + RANGE__SWEEP_INTERVAL);
	forest->spent = 0;
	forest->calm = forest->calm_until = 0;
	forest->splits = forest->merges = 0;
	atomic_init(&forest->count, 0);
	leaf = range__store_take(lock, forest);
	move_root(lock, leaf);
	range__index_insert(forest, 0, leaf, 1);
	/* release: pairs with the acquire in range__index_find() */
	atomic_store_explicit(&lock->forest, forest, memory_order_release);
	range__leaf_unlock(leaf, NULL);
	range__leaf_unlock(&lock->root, NULL);
	return forest;
}

struct range__forest *range__forest_get(struct range__lock *lock)
{
	struct range__forest *forest = range__forest_of(lock);

	return forest ? forest : new_forest(lock);
}

/*
 * The thread locks all leaves at the same time, so that no range can move from a leaf that it has
 * seen to one that it has not.
 */
static bool all_vacant(struct range__lock *lock)
{
	bool vacant = true;
	uint32_t n = 0;

	while (vacant && n < range__nr_leaves(lock)) {
		struct range__leaf *leaf = range__find_nth(lock, n++);

		range__leaf_lock(leaf);
		range__bias_revoke_leaf(lock, leaf);
		vacant = range__leaf_vacant(leaf);
	}
	while (n > 0)
		range__leaf_unlock(range__find_nth(lock, --n), NULL);
	return vacant;
}

int range__forest_destroy(struct range__lock *lock)
{
	bool vacant;

	range__short_lock(&lock->mutex);
	vacant = all_vacant(lock) && !range__request_is_to_come(lock);
	range__short_unlock(&lock->mutex);
	if (!vacant)
		return EBUSY;
	/* Readers that have released their ranges may still look at the words of their leaves. */
	range__slots_drain(lock);
	range__store_free(lock);
	return 0;
}

static void add_waits(const struct range__leaf *leaf, void *arg)
{
	uint64_t *waits = arg;

	/* acquire: pairs with the release in range__leaf_count_wait() */
	*waits += atomic_load_explicit(&leaf->waits, memory_order_acquire);
}

/*
 * Locks no leaf. The counts of a leaf stay in its memory, which the lock keeps (LEAF-R3), so each
 * count is added once, however leaves split and merge meanwhile.
 */
void range__forest_stats(struct range__lock *lock, struct range_lock_stats *stats)
{
	struct range__forest *forest;

	range__short_lock(&lock->mutex);
	forest = range__forest_of(lock);
	stats->leaves = range__nr_leaves(lock);
	stats->splits = forest ? forest->splits : 0;
	stats->merges = forest ? forest->merges : 0;
	range__short_unlock(&lock->mutex);
	/* relaxed: a count */
	stats->biases = atomic_load_explicit(&lock->biases, memory_order_relaxed);
	stats->waits = 0;
	add_waits(&lock->root, &stats->waits);
	if (forest)
		range__store_visit(forest, add_waits, &stats->waits);
}

static void count_leaf(const struct range__leaf *leaf, void *arg)
{
	uint32_t *count = arg;

	(void)leaf;
	++*count;
}

/* Whether each leaf that was allocated is in the index, or free. */
static bool none_is_lost(struct range__forest *forest, uint32_t leaves)
{
	uint32_t allocated = 0, unused = 0;

	range__store_visit(forest, count_leaf, &allocated);
	for (const struct range__leaf *leaf = forest->free; leaf; leaf = leaf->next)
		unused++;
	return leaves + unused == allocated;
}

static bool leaf_valid(struct range__lock *lock, struct range__leaf *leaf, uint64_t lo,
		       struct range__leaf *next)
{
	bool valid;

	range__leaf_lock(leaf);
	range__bias_revoke_leaf(lock, leaf);
	valid = range__leaf_valid(lock, leaf) && range__leaf_lo(leaf) == lo &&
		range__leaf_right(leaf) == next;
	range__leaf_unlock(leaf, NULL);
	return valid;
}

bool range__forest_valid(struct range__lock *lock)
{
	struct range__forest *forest;
	uint64_t lo = 0;
	bool valid = true;

	range__short_lock(&lock->mutex);
	forest = range__forest_of(lock);
	for (uint32_t i = 0; i < range__nr_leaves(lock); i++) {
		struct range__leaf *leaf = range__find_nth(lock, i);

		valid = valid && leaf_valid(lock, leaf, lo, range__find_nth(lock, i + 1)) &&
			(!forest || range__index_lo(forest, i) == lo);
		lo = range__leaf_hi(leaf);
	}
	valid = valid && lo == UINT64_MAX && range__nr_leaves(lock) <= range__max_leaves(lock) &&
		(!forest || none_is_lost(forest, range__nr_leaves(lock)));
	range__short_unlock(&lock->mutex);
	return valid;
}
