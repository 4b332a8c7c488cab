/* SPDX-License-Identifier: MIT */
/*
 * A reader writes one slot of its own thread, and reads the words of one or two leaves. Only if one
 * of the words has changed meanwhile, because a thread has revoked the bias, does the reader lock
 * all leaves of its range, where it may have been adopted.
 */
#include "reader.h"
#include "async.h"
#include "index.h"
#include "probes.h"
#include "span.h"
#include "waiters.h"
#include "wake.h"

static bool comes_back(const struct range__hold *range, unsigned int which)
{
	unsigned int spins = 0;
	uint64_t word;

	do {
		/* relaxed: as in range__slot_undisturbed() */
		word = atomic_load_explicit(&range->leaf[which]->word, memory_order_relaxed);
		if (word == range->saved_word[which])
			return true;
	} while ((word & WORD_TAG) == WORD_LOCKED && mmrange__spin(&spins));
	return false;
}

static inline bool is_undisturbed(const struct range__hold *range)
{
	mmrange__light_fence(); /* [SLOT-L] */
	return (range__slot_undisturbed(range, 0) || comes_back(range, 0)) &&
	       (!range__is_wide(range) || range__slot_undisturbed(range, 1) ||
		comes_back(range, 1));
}

/* With the leaf locked: whether it is as it was when the range was published in it. */
static bool is_intact(struct range__leaf *leaf, struct range__leaf *old, uint64_t word)
{
	return leaf == old && leaf->biased &&
	       range__word_of_bias(range__leaf_generation(leaf)) == word;
}

static bool is_adopted(struct range__leaf *leaf, struct range__hold *range)
{
	struct range__node *node = range__leaf_node(leaf, range);

	return node && range__node_in_tree(node);
}

/*
 * With all leaves locked, and the range out of its slot: whether the range can be held in the
 * leaves where it has not been adopted.
 */
static bool can_be_recorded(struct range__set *set)
{
	const struct range__hold newcomer = {
		.start = set->one->start,
		.end = set->one->end,
		.mode = RANGE_READ,
		.arrival = UINT64_MAX,
	};

	for (struct range__walk walk = range__walk_first(set); walk.leaf; range__walk_next(&walk))
		if (!is_adopted(walk.leaf, set->one) &&
		    range__leaf_blocks(set->lock, walk.leaf, &newcomer))
			return false;
	return true;
}

static void record_rest(struct range__set *set)
{
	for (struct range__walk walk = range__walk_first(set); walk.leaf; range__walk_next(&walk))
		if (!is_adopted(walk.leaf, set->one))
			range__leaf_record(walk.leaf, set->one);
}

/* Erases the range where it has been adopted. Returns whether it was in any leaf. */
static bool erase_adopted(struct range__set *set, struct range__wakes *wakes)
{
	struct range__hold *range = set->one;
	bool any = false;

	for (struct range__walk walk = range__walk_first(set); walk.leaf; range__walk_next(&walk)) {
		if (!is_adopted(walk.leaf, range))
			continue;
		range__leaf_erase(walk.leaf, range);
		range__wake_after(set->lock, walk.leaf, range, wakes);
		any = true;
	}
	return any;
}

/*
 * Finds out whether a published range is held although a leaf had changed. If not through the slot,
 * the range leaves the slot, and is recorded in all its leaves or in none.
 */
__attribute__((noinline)) static bool recheck_locked(struct range__lock *lock,
						     struct range__hold *range)
{
	struct range__set set = range__set_of(lock, range);
	struct range__leaf *old[2] = { range->leaf[0],
				       range__is_wide(range) ? range->leaf[1] : NULL };
	struct range__wakes wakes;
	uint64_t next;
	bool held;

	wakes.n = 0;
	set.hint = range->leaf[0];
	range__span_lock(&set, RANGE__KEEP_BIAS);
	range->owner = mmrange__self();
	if (is_intact(range->leaf[0], old[0], range->saved_word[0]) &&
	    (range__is_wide(range) ? is_intact(range->leaf[1], old[1], range->saved_word[1])
				   : !old[1])) {
		range__span_unlock(&set, NULL);
		return true;
	}
	next = range__slot_leave(range->slot);
	range->how &= (uint8_t)~RANGE__SLOT;
	held = can_be_recorded(&set);
	if (held)
		record_rest(&set);
	else
		erase_adopted(&set, &wakes);
	range__span_unlock(&set, &wakes);
	range__slot_free(range->slot, next);
	return held;
}

bool range__reader_recheck(struct range__lock *lock, struct range__hold *range)
{
	return is_undisturbed(range) || recheck_locked(lock, range);
}

bool range__reader_enter(struct range__lock *lock, struct range__hold *range)
{
	return range__slot_publish(lock, range) && range__reader_recheck(lock, range);
}

/*
 * The slot keeps range__slots_drain() from letting the leaves be freed until this thread does not
 * need them any more. A range that was adopted does so as well, until its leaf is unlocked. So the
 * thread frees the slot before the release wakes a thread that may have a higher priority, run at
 * once, and destroy the lock.
 */
__attribute__((noinline)) static void leave_slowly(struct range__lock *lock,
						   struct range__hold *range, uint64_t next)
{
	struct range__set set = range__set_of(lock, range);
	struct range__wakes wakes;
	struct range__slot *slot = range->slot;
	bool was_adopted;

	range__probe_release(lock, range);
	wakes.n = 0;
	set.hint = range->leaf[0];
	range__span_lock(&set, RANGE__KEEP_BIAS);
	was_adopted = erase_adopted(&set, &wakes);
	if (was_adopted)
		range__slot_free(slot, next);
	range__span_unlock(&set, &wakes);
	if (!was_adopted)
		range__slot_free(slot, next);
}

/* The range's slot is LEAVING, and the state next frees it. */
static void leave_slot(struct range__lock *lock, struct range__hold *range, uint64_t next)
{
	if (is_undisturbed(range))
		range__slot_free(range->slot, next);
	else
		leave_slowly(lock, range, next);
}

void range__reader_leave_wide(struct range__lock *lock, struct range__hold *range)
{
	range__reader_left(lock, range, range__slot_leave(range->slot));
}

void range__reader_left(struct range__lock *lock, struct range__hold *range, uint64_t next)
{
	leave_slot(lock, range, next);
	range__async_run();
}

/* Finds the leaf of a range. Whether the range may be published in that leaf alone. */
static bool find_biased_leaf(struct range__lock *lock, struct range__hold *range)
{
	struct range__leaf *leaf;

	if (range->mode != RANGE_READ)
		return false;
	leaf = range__index_find(lock, range->start);
	range->leaf[0] = leaf;
	/* acquire: [LEAF-B] */
	range->saved_word[0] = atomic_load_explicit(&leaf->word, memory_order_acquire);
	return range__word_biased(range->saved_word[0]) &&
	       range__leaf_covers(leaf, range->start, range->end);
}

/*
 * Between the last publication and the first look, all ranges are held at once. If a leaf has
 * changed, the ranges leave, because one of them may have met a writer.
 */
bool range__reader_enter_all(struct range__set *set)
{
	size_t found = 0, published = 0, seen = 0;

	if (set->n > RANGE__GROUP_SLOTS)
		return false;
	while (found < set->n && find_biased_leaf(set->lock, range__set_hold(set, found)))
		found++;
	while (found == set->n && published < set->n &&
	       range__slot_publish(set->lock, range__set_hold(set, published)))
		published++;
	while (published == set->n && seen < set->n && is_undisturbed(range__set_hold(set, seen)))
		seen++;
	if (seen == set->n)
		return true;
	for (size_t i = 0; i < published; i++) {
		struct range__hold *range = range__set_hold(set, i);

		leave_slot(set->lock, range, range__slot_leave(range->slot));
		range->how = 0;
	}
	return false;
}
