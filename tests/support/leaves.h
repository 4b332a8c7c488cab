/* SPDX-License-Identifier: MIT */
/*
 * Ways to make the leaves of a lock split and merge where and when a test wants it. They acquire
 * ranges, as other threads could; but the test decides which leaves are cold.
 */
#ifndef TESTS_LEAVES_H
#define TESTS_LEAVES_H

#include "actors.h"

#include "platform/platform.h"
#include "range_lock/adapt.h"
#include "range_lock/leaf.h"

/* The keys from here on belong to the functions of this file, which make three leaves there. */
#define FAR (UINT64_C(1) << 40)

/*
 * Splits a leaf at point, by two threads that take turns at [point - 1, point) and [point, point +
 * 1), which must be free.
 */
static inline void split_leaf(struct range_lock *lock, uint64_t point)
{
	uint64_t self = mmrange__self(), splits = lock_stats(lock).splits;
	unsigned int visits = 0;

	for (; lock_stats(lock).splits == splits; visits++) {
		CHECK(visits < 1000);
		visit(lock, 500 + visits % 2, point - visits % 2);
	}
	mmrange__thread = self;
	CHECK_EQ(range__leaf_lo(leaf_at(lock, point)), point);
}

/* Makes the leaves that sweep_leaves() needs. */
static inline void make_far_leaves(struct range_lock *lock)
{
	for (uint64_t i = 0; i < 3; i++)
		split_leaf(lock, FAR + 10 * i);
}

/* Marks all leaves as used since the last sweep. */
static inline void warm_leaves(struct range_lock *lock)
{
	struct range__forest *forest = forest_of(lock);

	for (uint32_t i = 0; i < atomic_load(&forest->count); i++)
		atomic_store(&atomic_load(&forest->entries[i].leaf)->last_owner, 1);
}

/* Marks the leaf that contains key as unused. */
static inline void cool_leaf(struct range_lock *lock, uint64_t key)
{
	atomic_store(&leaf_at(lock, key)->last_owner, 0);
}

/* Makes a sweep go through at most 64 leaves, by a thread whose range spans far leaves. */
static inline void sweep_leaves(struct range_lock *lock)
{
	uint64_t self = mmrange__self();
	struct range_hold range;

	forest_of(lock)->sweep = 1;
	atomic_store(&forest_of(lock)->sweep_due, 0);
	play_thread(502);
	CHECK_EQ(range_lock(lock, &range, FAR + 5, FAR + 25, RANGE_READ), 0);
	range_unlock(lock, &range);
	mmrange__thread = self;
	CHECK(atomic_load(&forest_of(lock)->sweep_due) != 0);
}

/* Merges the leaf that contains key into the one before; no range may be held or wait in it. */
static inline void merge_leaf(struct range_lock *lock, uint64_t key)
{
	uint64_t merges = lock_stats(lock).merges;

	warm_leaves(lock);
	cool_leaf(lock, key);
	sweep_leaves(lock);
	CHECK_EQ(lock_stats(lock).merges, merges + 1);
}

/* Whether a leaf begins at point. */
static inline bool apart_at(struct range_lock *lock, uint64_t point)
{
	return range__leaf_lo(leaf_at(lock, point)) == point;
}

#endif
