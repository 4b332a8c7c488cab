/* SPDX-License-Identifier: MIT */
/*
 * A range that cannot be had at once spins as long as the one that has it is alone in its leaf,
 * then goes into the leaf's queue and parks on its own state. Whoever is woken locks the leaf and
 * looks again: see leaf.c for who is woken and why no wake-up is lost.
 */
#include "wait.h"
#include "adapt.h"
#include "checked.h"
#include "copy.h"
#include "deadlock.h"
#include "forest.h"
#include "platform/platform.h"
#include "reader.h"
#include "seams.h"

#include <errno.h>

enum {
	/* Pauses for which a short critical section is waited for without queueing. */
	HOLD_SPINS = 1000,
	/* Looks at the own state before parking. */
	WAKE_SPINS = 100,
};

MMRANGE__THREAD_LOCAL unsigned int range__passed;

/*
 * Whether it makes sense to wait for the holder of a leaf in which there is one range only: if it
 * conflicts. What that range is cannot be known without locking the leaf; the last owner's is a
 * guess.
 */
static bool worth_spinning(struct range__leaf *leaf, uint64_t word, const struct range_hold *range)
{
	bool alone = word == (WORD_TREE | WORD_ALONE); /* a writer, too */

	if ((word & WORD_TAG) == WORD_EMPTY)
		return !(word & WORD_WAITERS) &&
		       (range->mode == RANGE_WRITE || !range__slots_due(leaf));
	/* Readers must not lock a leaf just because one of them did so. */
	if ((word & WORD_TAG) == WORD_LOCKED)
		return range->mode == RANGE_READ;
	if ((word & WORD_TAG) != WORD_SINGLE && !alone)
		return false;
	if (!alone && !(word & WORD_WRITER) && range->mode == RANGE_READ)
		return false;
	/* relaxed: a guess */
	return range__overlap(range, atomic_load_explicit(&leaf->last_start, memory_order_relaxed),
			      atomic_load_explicit(&leaf->last_end, memory_order_relaxed));
}

static bool may_be_free(uint64_t word, const struct range_hold *range)
{
	return (word & WORD_TAG) == WORD_EMPTY ||
	       (range__word_biased(word) && range->mode == RANGE_READ);
}

static bool spin(struct range_lock *lock, struct range_hold *range)
{
	unsigned int pause = 1;

	if (!mmrange__spinning_helps())
		return false;
	for (unsigned int spent = 0; spent < HOLD_SPINS; spent += pause) {
		struct range__leaf *leaf = range__index_find(lock, range->start);
		/* relaxed: a hint; the fast path loads it again */
		uint64_t word = atomic_load_explicit(&leaf->word, memory_order_relaxed);

		if (may_be_free(word, range) && range__acquire_fast(lock, range))
			return true;
		if (!worth_spinning(leaf, word, range) ||
		    !range__leaf_covers(leaf, range->start, range->end))
			return false;
		for (unsigned int i = 0; i < pause; i++)
			mmrange__relax();
		if (pause < 64)
			pause *= 2;
	}
	return false;
}

static bool is_asleep(const struct range_hold *range)
{
	/* relaxed: the leaf's lock, taken next, orders everything */
	uint64_t state = atomic_load_explicit(&range->state, memory_order_relaxed);

	return state == RANGE_WAITING || state == RANGE_LOOKS;
}

/* Sleeps until the range is woken or canceled, or the deadline has passed: 0 or ETIMEDOUT. */
static int sleep_until_woken(struct range__wait *self, struct range_hold *range,
			     const struct range__limit *limit)
{
	int spins = mmrange__spinning_helps() ? WAKE_SPINS : 0;
	int error = 0;

	while (is_asleep(range) && !error) {
		if (spins-- > 0)
			mmrange__relax();
		else
			error = range__deadlock_park(self, range, limit);
	}
	return error;
}

void range__wake(struct range_lock *lock, struct range__leaf *leaf, uint64_t start, uint64_t end,
		 struct range__wakes *wakes)
{
	if (lock->fairness == RANGE_FAIRNESS_BARGING)
		range__deadlock_promoted(range__leaf_promote(leaf, lock->starvation_ns));
	range__leaf_wake(leaf, start, end, wakes);
}

static void wake_and_unlock(struct range_lock *lock, struct range__leaf *leaf,
			    const struct range_hold *range)
{
	struct range__wakes wakes = { .n = 0 };

	range__wake(lock, leaf, range->start, range->end, &wakes);
	range__seams_released(lock, leaf, range->start, range->end);
	range__leaf_unlock(leaf, &wakes);
}

/* What a waiter's call returns that has been taken out of the queue; 0: it has not. */
static int expelled(const struct range_hold *range)
{
	/* acquire: [C] */
	switch (atomic_load_explicit(&range->state, memory_order_acquire)) {
	case RANGE_CANCELED:
		return ECANCELED;
	case RANGE_DEADLOCKED:
		return EDEADLK;
	default:
		return 0;
	}
}

/* The range is in the leaf's queue, or has been taken out of it by another thread. */
static int wait(struct range_lock *lock, struct range_hold *range, const struct range__limit *limit,
		struct range__wait *self)
{
	for (;;) {
		int error = sleep_until_woken(self, range, limit);
		int out = expelled(range);
		struct range__leaf *leaf;

		if (out)
			return out;
		leaf = range__forest_lock(lock, range, range->leaf, false);
		range->leaf = leaf;
		/* Again, now that nobody can do it any more. */
		out = expelled(range);
		if (out) {
			range__leaf_unlock(leaf, NULL);
			return out;
		}
		if (!range__leaf_blocks(leaf, range)) {
			range__leaf_dequeue(leaf, range);
			range__deadlock_dequeued(self);
			range__slots_consider(leaf, range);
			range__leaf_hold_and_unlock(leaf, range);
			return 0;
		}
		if (error) {
			range__leaf_dequeue(leaf, range);
			range__deadlock_dequeued(self);
			wake_and_unlock(lock, leaf, range);
			return error;
		}
		/* Somebody was faster. */
		range__leaf_wait_again(leaf, range);
		wake_and_unlock(lock, leaf, range);
	}
}

/* With the leaf locked, which is unlocked: a newcomer queues and waits. */
static int queue_and_wait(struct range_lock *lock, struct range__leaf *leaf,
			  struct range_hold *range, const struct range__limit *limit)
{
	struct range__wait self;
	int error;

	range->stamp = mmrange__now();
	range->starving = lock->fairness == RANGE_FAIRNESS_FIFO;
	range__deadlock_prepare(&self, lock, range, limit->deadline != NULL);
	range__leaf_enqueue(leaf, range);
	range__leaf_count_wait(leaf);
	range__leaf_unlock(leaf, NULL);
	range__deadlock_enter(&self);
	error = wait(lock, range, limit, &self);
	range__deadlock_leave(&self, error);
	return error;
}

static struct range__leaf *lock_leaf(struct range_lock *lock, const struct range_hold *range,
				     struct range__leaf *hint, bool try)
{
	if (range->mode == RANGE_READ)
		return range__forest_lock_reader(lock, range, hint, try);
	return range__forest_lock(lock, range, hint, try);
}

/*
 * A reader found the leaf locked, maybe by another one, but it is biased: a slot is still better.
 */
static bool enter_instead(struct range_lock *lock, struct range__leaf *leaf,
			  struct range_hold *range)
{
	uint64_t word = range__word_of_bias(leaf->generation);

	range__leaf_unlock(leaf, NULL);
	return range__reader_enter(lock, leaf, range, word);
}

int range__acquire_slow(struct range_lock *lock, struct range_hold *range,
			const struct range__limit *limit)
{
	struct range__leaf *leaf;
	int error = 0;

	range__copy_check(lock);
	if (!limit->try && lock->fairness == RANGE_FAIRNESS_BARGING && spin(lock, range))
		return 0;
	leaf = lock_leaf(lock, range, NULL, limit->try);
	if (leaf && range__leaf_biased(leaf) && range__slot_find()) {
		if (enter_instead(lock, leaf, range))
			return 0;
		leaf = lock_leaf(lock, range, NULL, limit->try);
	}
	if (!leaf)
		return EBUSY;
	range->leaf = leaf;
	if (!range__leaf_blocks(leaf, range)) {
		/* Its release will be by the slow path, and look after those who wait. */
		if (leaf->wait_first)
			range__passed = 0;
		range__slots_consider(leaf, range);
		range__leaf_hold_and_unlock(leaf, range);
	} else if (limit->try) {
		range__leaf_unlock(leaf, NULL);
		return EBUSY;
	} else if (range__checked_deadlock(leaf, range)) {
		range__leaf_unlock(leaf, NULL);
		return EDEADLK;
	} else {
		error = queue_and_wait(lock, leaf, range, limit);
	}
	if (!error &&
	    atomic_load_explicit(&range->leaf->last_owner, memory_order_relaxed) != range->owner)
		range__adapt_note(lock, range->leaf, range);
	return error;
}

void range__release_slow(struct range_lock *lock, struct range_hold *range)
{
	struct range__leaf *leaf = lock_leaf(lock, range, range->leaf, false);

	range__release_and_unlock(lock, leaf, range);
}

void range__release_and_unlock(struct range_lock *lock, struct range__leaf *leaf,
			       struct range_hold *range)
{
	range__tree_erase(&leaf->held, range);
	wake_and_unlock(lock, leaf, range);
}
