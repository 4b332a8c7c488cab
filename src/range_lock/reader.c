/* SPDX-License-Identifier: MIT */
/*
 * One slot of the thread's own is written, and the leaf's word is read. Only if that has changed
 * meanwhile, because somebody has ended the bias, the leaf is locked: the range may have been
 * adopted.
 */
#include "reader.h"
#include "forest.h"
#include "wait.h"

/* Looks at a leaf that is locked, maybe by a reader, before locking it. */
enum { LOCKED_SPINS = 100 };

static bool undisturbed(const struct range_hold *range)
{
	uint64_t word;
	int spins;

	if (range__slot_undisturbed(range))
		return true;
	spins = mmrange__spinning_helps() ? LOCKED_SPINS : 0;
	do {
		/* relaxed: as in range__slot_undisturbed() */
		word = atomic_load_explicit(&range->leaf->word, memory_order_relaxed);
		if (word == range->stamp)
			return true;
		mmrange__relax();
	} while ((word & WORD_TAG) == WORD_LOCKED && spins-- > 0);
	return false;
}

/*
 * The leaf was not as it should be after publishing the range in it: finds out whether the range is
 * held, through the slot or the tree. If not through the slot, takes it out of there.
 */
static bool settle(struct range_lock *lock, struct range_hold *range)
{
	struct range__leaf *leaf = range__forest_lock_published(lock, range);
	struct range__slot *slot = range->slot;
	uint64_t next;
	bool held;

	if (leaf && leaf == range->leaf && range__leaf_biased(leaf) &&
	    range__word_of_bias(leaf->generation) == range->stamp) {
		range__leaf_unlock(leaf, NULL);
		return true;
	}
	next = range__slot_leave(slot);
	/* There were several leaves. Until now it could still be adopted, by who made them one. */
	if (!leaf)
		leaf = range__forest_lock_published(lock, range);
	held = leaf && range__slot_adopted(range);
	range->leaf = leaf;
	range->stamp = 0;
	if (leaf)
		range__leaf_unlock(leaf, NULL);
	range__slot_free(slot, next);
	return held;
}

bool range__reader_enter(struct range_lock *lock, struct range__leaf *leaf,
			 struct range_hold *range, uint64_t word)
{
	range->leaf = leaf;
	range->stamp = word;
	if (!range__slot_publish(range))
		return false;
	return undisturbed(range) || settle(lock, range);
}

/*
 * The slot keeps range__slots_drain() from freeing the leaf until this thread does not need it any
 * more. A range that was adopted does so as well, until the leaf is unlocked: so the slot is free by
 * the time when the release wakes a thread, which may have a higher priority, run at once, and
 * destroy the lock.
 */
static void leave_slowly(struct range_lock *lock, struct range_hold *range, uint64_t next)
{
	struct range__leaf *leaf = range__forest_lock_published(lock, range);
	struct range__slot *slot = range->slot;

	if (leaf && range__slot_adopted(range)) {
		range__slot_free(slot, next);
		range__release_and_unlock(lock, leaf, range);
		return;
	}
	if (leaf)
		range__leaf_unlock(leaf, NULL);
	range__slot_free(slot, next);
}

void range__reader_leave(struct range_lock *lock, struct range_hold *range)
{
	struct range__slot *slot = range->slot;
	uint64_t next = range__slot_leave(slot);

	if (undisturbed(range))
		range__slot_free(slot, next);
	else
		leave_slowly(lock, range, next);
}
