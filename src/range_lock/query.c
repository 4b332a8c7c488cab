/* SPDX-License-Identifier: MIT */
/*
 * Questions about what is held. The thread locks one leaf at a time, so an answer about several
 * leaves was never true at one moment, unless the ranges that it is about stay.
 *
 * A range is recorded in the leaves where it begins and ends. A leaf in between, which it covers,
 * only counts it: if a leaf is covered, the thread looks through the leaves below as well.
 */
#include "bias.h"
#include "checked.h"
#include "copy.h"
#include "find.h"
#include "race.h"
#include "slots.h"

#include <errno.h>

static bool is_valid(uint64_t start, uint64_t end, enum range_mode mode)
{
	return start < end && (mode == RANGE_READ || mode == RANGE_WRITE);
}

/* From key on, to where the ranges of the thread that hold key end; key itself: none does. */
struct reach {
	struct range__lock *lock;
	uint64_t self;
	enum range_mode mode;
	uint64_t key;
};

static void reach_by_slots(struct reach *reach)
{
	const struct range__slots *own = range__slots_own;

	for (int i = 0; reach->mode == RANGE_READ && i < RANGE__GROUP_SLOTS; i++) {
		const struct range__slot *slot = &own->slot[i];
		/* relaxed: the thread itself has filled its slots */
		uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
		uint64_t start = atomic_load_explicit(&slot->start, memory_order_relaxed);
		uint64_t end = atomic_load_explicit(&slot->end, memory_order_relaxed);

		if ((state & SLOT_TAG) == SLOT_IN && start <= reach->key && reach->key < end &&
		    atomic_load_explicit(&slot->lock, memory_order_relaxed) == reach->lock)
			reach->key = end;
	}
}

/* With the leaf locked. */
static void reach_in_leaf(struct reach *reach, struct range__leaf *leaf)
{
	uint64_t key = reach->key;
	struct range__node *node = range__tree_first(leaf->held, key, key + 1);

	for (; node; node = range__tree_next(node, key, key + 1)) {
		const struct range__hold *range = range__hold_of(node);

		if (mmrange__same_thread(range->owner, reach->self) && range->mode >= reach->mode &&
		    range->end > reach->key)
			reach->key = range->end;
	}
}

static void reach_in_leaves(struct reach *reach)
{
	uint64_t key = reach->key;
	struct range__leaf *leaf = range__find_and_lock(reach->lock, key, NULL);
	bool covered = leaf->covers > 0;

	reach_in_leaf(reach, leaf);
	range__leaf_unlock(leaf, NULL);
	for (uint64_t below = 0; covered && reach->key == key && below < key;) {
		leaf = range__find_and_lock(reach->lock, below, NULL);
		reach_in_leaf(reach, leaf);
		below = range__leaf_hi(leaf);
		range__leaf_unlock(leaf, NULL);
	}
}

int range_is_held(struct range_lock *lock_, uint64_t start, uint64_t end, enum range_mode mode)
{
	struct range__lock *lock = range__lock(lock_);
	struct reach reach = { lock, mmrange__self(), mode, start };
	uint64_t before = end;

	range__copy_check(lock);
	range__checked_lock(lock);
	if (!is_valid(start, end, mode))
		return 0;
	range__race_enter();
	while (reach.key < end && reach.key != before) {
		before = reach.key;
		reach_by_slots(&reach);
		if (reach.key == before)
			reach_in_leaves(&reach);
	}
	range__race_leave();
	return reach.key >= end;
}

static bool conflicts(const struct range__hold *range, enum range_mode mode)
{
	return mode == RANGE_WRITE || range->mode == RANGE_WRITE;
}

static struct range_info info_of_held(struct range__hold *range)
{
	return (struct range_info){
		.range = range__public(range),
		.start = range->start,
		.end = range->end,
		.mode = range->mode,
		.state = RANGE_STATE_HELD,
		.thread = (uint32_t)(range->owner >> 32),
	};
}

/* With the leaf locked: the first range recorded in it that conflicts. */
static bool find_in_leaf(struct range__leaf *leaf, uint64_t start, uint64_t end,
			 enum range_mode mode, struct range_info *info)
{
	struct range__node *node = range__tree_first(leaf->held, start, end);

	while (node && !conflicts(range__hold_of(node), mode))
		node = range__tree_next(node, start, end);
	if (node)
		*info = info_of_held(range__hold_of(node));
	return node != NULL;
}

/* Readers of a biased leaf are recorded in it only after the bias was revoked; it has no writers.
 */
static struct range__leaf *lock_leaf(struct range__lock *lock, uint64_t key, enum range_mode mode)
{
	struct range__leaf *leaf = range__find_and_lock(lock, key, NULL);

	if (mode == RANGE_WRITE)
		range__bias_revoke_leaf(lock, leaf);
	return leaf;
}

static bool is_covered(struct range__lock *lock, uint64_t key, enum range_mode mode)
{
	struct range__leaf *leaf = lock_leaf(lock, key, mode);
	bool covered = leaf->covers > 0;

	range__leaf_unlock(leaf, NULL);
	return covered;
}

/* A range that ends in the leaf of start is recorded there, too. One that covers it is not. */
static bool find_conflict(struct range__lock *lock, uint64_t start, uint64_t end,
			  enum range_mode mode, struct range_info *info)
{
	uint64_t key = is_covered(lock, start, mode) ? 0 : start;
	bool found = false;

	while (key < end && !found) {
		struct range__leaf *leaf = lock_leaf(lock, key, mode);

		found = find_in_leaf(leaf, start, end, mode, info);
		key = range__leaf_hi(leaf);
		range__leaf_unlock(leaf, NULL);
	}
	return found;
}

int range_lock_conflict(struct range_lock *lock_, uint64_t start, uint64_t end,
			enum range_mode mode, struct range_info *info)
{
	struct range__lock *lock = range__lock(lock_);
	bool found;

	range__copy_check(lock);
	range__checked_lock(lock);
	if (!is_valid(start, end, mode))
		return EINVAL;
	range__race_enter();
	found = find_conflict(lock, start, end, mode, info);
	range__race_leave();
	return found ? 0 : ESRCH;
}
