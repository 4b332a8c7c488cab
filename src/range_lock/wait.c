/* SPDX-License-Identifier: MIT */
/*
 * An acquisition that cannot be had by the fast path spins for a while, then locks all its leaves.
 * If something conflicts, it goes into the queue of a leaf in which something does, and parks on the
 * state of the range that stands there. A thread that is woken locks all its leaves and looks again:
 * see leaf.c for which thread is woken and why no wake-up is lost. If another leaf blocks it then, it
 * moves to the queue of that one, where its arrival gives it its place.
 */
#include "wait.h"
#include "adapt.h"
#include "checked.h"
#include "claim.h"
#include "copy.h"
#include "deadlock.h"
#include "forest.h"
#include "lock.h"
#include "platform/platform.h"
#include "reader.h"

#include <errno.h>

enum {
	/* Pauses for which a short critical section is waited for without queueing. */
	HOLD_SPINS = 1000,
	/*
	 * The same in a leaf with a range that may not conflict. To lock the leaf at once would cost
	 * both more, if that range is about to be released.
	 */
	NEAR_SPINS = 4,
	/* Looks at the own state before parking. */
	WAKE_SPINS = 100,
};

MMRANGE__THREAD_LOCAL unsigned int range__passed;

/*
 * For how many pauses the holder of a leaf is worth waiting for. If only one range is in it: for a
 * short critical section, if that range conflicts. What it is cannot be known without locking the
 * leaf; the last owner's is a guess.
 */
static unsigned int spins_worth(struct range__leaf *leaf, uint64_t word,
				const struct range__hold *range)
{
	bool reads = range->mode == RANGE_READ;

	switch (word & WORD_TAG) {
	case WORD_EMPTY:
		return word & WORD_WAITERS || (reads && range__slots_due(leaf)) ? 0 : HOLD_SPINS;
	case WORD_LOCKED:
		/* Readers must not lock a leaf just because one of them did so. */
		return reads || range__is_wide(range) ? HOLD_SPINS : NEAR_SPINS;
	case WORD_SINGLE:
		if (reads && !(word & WORD_WRITER))
			return NEAR_SPINS;
		/* relaxed: a guess */
		return range__overlap(range,
				      atomic_load_explicit(&leaf->last_start, memory_order_relaxed),
				      atomic_load_explicit(&leaf->last_end, memory_order_relaxed))
			       ? HOLD_SPINS
			       : NEAR_SPINS;
	default:
		return 0;
	}
}

static bool may_be_free(uint64_t word, const struct range__hold *range)
{
	return (word & WORD_TAG) == WORD_EMPTY ||
	       (range__word_biased(word) && range->mode == RANGE_READ);
}

/* What the leaves of a range look like. */
struct look {
	bool free;
	unsigned int spins; /* for which they are worth waiting for */
};

static struct look look_at(struct range__leaf *leaf, const struct range__hold *range)
{
	/* relaxed: a hint; the fast path loads it again */
	uint64_t word = atomic_load_explicit(&leaf->word, memory_order_relaxed);

	return (struct look){ may_be_free(word, range), spins_worth(leaf, word, range) };
}

static struct look look(struct range__lock *lock, struct range__hold *range)
{
	struct range__leaf *leaf = range__index_find(lock, range->start);
	struct look first, second;

	range__set_wide(range, !range__leaf_covers(leaf, range->start, range->end));
	first = look_at(leaf, range);
	if (!range__is_wide(range))
		return first;
	leaf = range__leaf_right(leaf);
	if (!leaf || range__leaf_hi(leaf) < range->end)
		return (struct look){ false, 0 };
	second = look_at(leaf, range);
	return (struct look){ first.free && second.free,
			      first.spins < second.spins ? first.spins : second.spins };
}

static bool spin(struct range__lock *lock, struct range__hold *range)
{
	unsigned int pause = 1;

	if (!mmrange__spinning_helps())
		return false;
	for (unsigned int spent = 0;; spent += pause) {
		struct look seen = look(lock, range);

		if (seen.free && range__acquire_fast(lock, range))
			return true;
		if (spent >= seen.spins)
			return false;
		for (unsigned int i = 0; i < pause; i++)
			mmrange__relax();
		if (pause < 64)
			pause *= 2;
	}
}

static bool is_asleep(const struct range__hold *range)
{
	/* relaxed: the leaf's lock, taken next, orders everything */
	uint64_t state = atomic_load_explicit(&range->state, memory_order_relaxed);

	return state == RANGE_WAITING || state == RANGE_LOOKS;
}

/* Sleeps until the range is woken or canceled, or the deadline has passed: 0 or ETIMEDOUT. */
static int sleep_until_woken(struct range__wait *self, struct range__hold *range,
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

void range__wake(struct range__lock *lock, struct range__leaf *leaf, uint64_t start, uint64_t end,
		 struct range__wakes *wakes)
{
	if (!leaf->waiters)
		return;
	if (lock->fairness == RANGE_FAIRNESS_BARGING)
		range__deadlock_promoted(
			range__leaf_promote(lock, leaf, range__starvation(lock), wakes));
	range__leaf_wake(lock, leaf, start, end, wakes);
}

void range__wake_range(struct range__set *set, size_t i, uint64_t start, uint64_t end,
		       struct range__wakes *wakes)
{
	struct range__hold *range = range__set_hold(set, i);
	struct range__leaf *leaf = range->leaf[0];

	range__wake(set->lock, leaf, start, end, wakes);
	while (leaf != range->leaf[1]) {
		leaf = range__leaf_right(leaf);
		range__wake(set->lock, leaf, start, end, wakes);
	}
}

/* What a waiter's call returns that has been taken out of the queue; 0: it has not. */
static int expelled(const struct range__hold *range)
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

/* Where an acquisition has to wait. */
struct obstacle {
	struct range__hold *range; /* of the set; NULL: nowhere */
	struct range__leaf *leaf;
};

static bool blocks(struct range__set *set, struct range__hold *range, struct range__leaf *leaf,
		   struct obstacle *obstacle)
{
	if (!range__leaf_blocks(set->lock, leaf, range))
		return false;
	*obstacle = (struct obstacle){ range, leaf };
	return true;
}

/* With all leaves of the set locked. */
static struct obstacle find_obstacle(struct range__set *set)
{
	struct obstacle obstacle = { NULL, NULL };

	for (size_t i = 0; i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);
		struct range__leaf *leaf = range->leaf[0];
		bool found = blocks(set, range, leaf, &obstacle);

		while (!found && leaf != range->leaf[1]) {
			leaf = range__leaf_right(leaf);
			found = blocks(set, range, leaf, &obstacle);
		}
		if (found)
			break;
	}
	return obstacle;
}

/* With all leaves locked. The end nodes of a range alone in its leaves go into their words. */
static void hold_one_and_unlock(struct range__set *set)
{
	struct range__hold *range = set->one;
	struct range__leaf *leaf = range->leaf[0], *last = range->leaf[1], *next;

	for (; leaf; leaf = next) {
		next = leaf == last ? NULL : range__leaf_right(leaf);
		range__leaf_hold_and_unlock(leaf, range);
	}
}

static void record_all(struct range__set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);
		struct range__leaf *leaf = range->leaf[0];

		range__leaf_record(leaf, range);
		while (leaf != range->leaf[1]) {
			leaf = range__leaf_right(leaf);
			range__leaf_record(leaf, range);
		}
	}
}

/* With all leaves locked, and no obstacle: grants it. */
static void hold_and_unlock(struct range__set *set)
{
	if (set->one) {
		for (unsigned int i = 0; i <= range__is_wide(set->one); i++)
			range__slots_consider(set->lock, set->one->leaf[i], set->one);
		hold_one_and_unlock(set);
		return;
	}
	record_all(set);
	range__span_unlock(set, NULL);
}

/* What only a starving acquisition does, and one that is not in one leaf. */
static void leave_lists(struct range__set *set)
{
	if (set->claims)
		range__unclaim(set);
	if (range__set_hold(set, 0)->listed)
		range__wide_remove(set);
}

/* With all leaves locked: a waiter goes, holding or not; wakes those that it held back in its queue. */
static void leave_queue(struct range__set *set, struct range__wakes *wakes)
{
	struct range__hold *queued = set->queued;
	struct range__leaf *leaf = queued->in;

	range__leaf_dequeue(leaf, queued);
	range__wake(set->lock, leaf, queued->start, queued->end, wakes);
}

/* With all leaves locked: a waiter gives up. */
static void give_up(struct range__set *set, struct range__wakes *wakes)
{
	bool claimed = set->claims;

	leave_lists(set);
	leave_queue(set, wakes);
	for (size_t i = 0; claimed && i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);

		range__wake_range(set, i, range->start, range->end, wakes);
	}
}

void range__expel_and_unlock(struct range__set *set, uint64_t why)
{
	struct range__wakes wakes;
	_Atomic(uint64_t) *state = &set->queued->state;
	struct range__walk walk = range__walk_first(set);
	struct range__leaf *leaf = walk.leaf;

	wakes.n = 0;
	give_up(set, &wakes);
	for (range__walk_next(&walk); walk.leaf; range__walk_next(&walk)) {
		range__leaf_unlock(leaf, NULL);
		leaf = walk.leaf;
	}
	/* release: [C] */
	atomic_store_explicit(state, why, memory_order_release);
	/* The last touch of the lock: it may be destroyed as soon as the waiter's call has returned. */
	range__leaf_unlock(leaf, &wakes);
	/* R5: the address alone. */
	mmrange__unpark(state, false);
}

/* With all leaves locked: into the queue where the obstacle is. */
static void queue_at(struct range__set *set, struct obstacle obstacle)
{
	set->queued = obstacle.range;
	/* relaxed: under the leaf's lock; the thread itself is awake */
	atomic_store_explicit(&obstacle.range->state, RANGE_WAITING, memory_order_relaxed);
	range__leaf_enqueue(obstacle.leaf, obstacle.range);
}

/* With all leaves locked: a waiter was woken, and another acquisition was faster. */
static void wait_again(struct range__set *set, struct obstacle obstacle, struct range__wait *self,
		       struct range__wakes *wakes)
{
	struct range__hold *queued = set->queued;
	bool claim = queued->promoted && !set->claims;

	if (obstacle.range == queued && obstacle.leaf == queued->in && !claim) {
		range__leaf_wait_again(queued->in, queued);
		range__wake(set->lock, queued->in, queued->start, queued->end, wakes);
		return;
	}
	leave_queue(set, wakes);
	if (claim) {
		queued->promoted = 0;
		range__claim(set);
		range__deadlock_claimed(self);
	}
	queue_at(set, obstacle);
}

/* The acquisition waits, or another thread has ended that. */
static int wait(struct range__set *set, const struct range__limit *limit, struct range__wait *self)
{
	for (;;) {
		struct range__wakes wakes;
		struct obstacle obstacle;
		struct range__hold *queued = set->queued;
		int error = sleep_until_woken(self, queued, limit);
		int out = expelled(queued);

		wakes.n = 0;
		if (out)
			return out;
		range__span_lock(set, RANGE__KEEP_BIAS);
		/* Again, now that no thread can do it any more. */
		out = expelled(queued);
		if (out) {
			range__span_unlock(set, NULL);
			return out;
		}
		obstacle = find_obstacle(set);
		if (!obstacle.range || error)
			range__deadlock_dequeued(self);
		if (!obstacle.range) {
			leave_lists(set);
			range__leaf_dequeue(queued->in, queued);
			hold_and_unlock(set);
			return 0;
		}
		if (error) {
			give_up(set, &wakes);
			range__span_unlock(set, &wakes);
			return error;
		}
		wait_again(set, obstacle, self, &wakes);
		range__span_unlock(set, &wakes);
	}
}

/*
 * Later than those that wait in the leaf, and than the claims in it: clocks may stand still for a while. A
 * newcomer that a claim blocks would otherwise wait without a cause if it counted as the earlier one.
 */
static uint64_t arrival_in(struct range__lock *lock, struct range__leaf *leaf, uint64_t now)
{
	if (leaf->waiters && leaf->waiters->prev->arrival >= now)
		now = leaf->waiters->prev->arrival + 1;
	return leaf->nr_claims > 0 ? range__claims_arrival(lock, leaf, now) : now;
}

/* With all leaves locked: a newcomer becomes a waiter. */
static void arrive(struct range__set *set, struct obstacle obstacle)
{
	bool fifo = set->lock->fairness == RANGE_FAIRNESS_FIFO;
	bool wide = range__set_is_wide(set);
	uint64_t now = mmrange__now();

	for (struct range__walk walk = range__walk_first(set); walk.leaf; range__walk_next(&walk))
		now = arrival_in(set->lock, walk.leaf, now);
	for (size_t i = 0; i < set->n; i++) {
		struct range__hold *range = range__set_hold(set, i);

		range->arrival = now;
		range->set = set;
		atomic_store_explicit(&range->in, NULL, memory_order_relaxed);
		range->listed = false;
		range->starving = fifo;
		range->promoted = 0;
	}
	if (wide)
		range__wide_add(set);
	if (wide && fifo)
		range__claim(set);
	queue_at(set, obstacle);
	range__leaf_count_wait(obstacle.leaf);
}

/* With all leaves locked, which are unlocked: a newcomer queues and waits. */
static int queue_and_wait(struct range__set *set, struct obstacle obstacle,
			  const struct range__limit *limit)
{
	struct range__wait self;
	int error;

	range__deadlock_prepare(&self, set, limit->deadline != NULL);
	arrive(set, obstacle);
	range__span_unlock(set, NULL);
	range__deadlock_enter(&self);
	error = wait(set, limit, &self);
	range__deadlock_leave(&self, error);
	return error;
}

/* The ranges are newcomers. */
static void begin(struct range__set *set)
{
	for (size_t i = 0; i < set->n; i++)
		range__set_hold(set, i)->arrival = UINT64_MAX;
}

/* With all leaves locked. A reader found them locked, but biased: a slot is still better. */
static bool enter_instead(struct range__set *set)
{
	struct range__hold *range = set->one;
	struct range__leaf *first, *last;

	if (!range || range->mode == RANGE_WRITE)
		return false;
	first = range->leaf[0];
	last = range->leaf[1];
	if (!range__leaf_biased(first) || !range__leaf_biased(last) ||
	    (first != last && range__leaf_right(first) != last) || !range__slot_find())
		return false;
	range->stamp[0] = range__word_of_bias(range__leaf_generation(first));
	range->stamp[1] = range__word_of_bias(range__leaf_generation(last));
	range__span_unlock(set, NULL);
	if (range__reader_enter(set->lock, range))
		return true;
	begin(set);
	range__span_lock(set, RANGE__KEEP_BIAS);
	return false;
}

static bool has_waiters(struct range__set *set)
{
	struct range__walk walk = range__walk_first(set);

	while (walk.leaf && !walk.leaf->waiters)
		range__walk_next(&walk);
	return walk.leaf != NULL;
}

int range__acquire_slow(struct range__set *set, const struct range__limit *limit)
{
	struct obstacle obstacle;
	int error = 0;

	range__copy_check(set->lock);
	range__adapt_relieve(set->lock);
	if (!limit->try && set->one && set->lock->fairness == RANGE_FAIRNESS_BARGING &&
	    spin(set->lock, set->one))
		return 0;
	begin(set);
	range__span_lock(set, RANGE__KEEP_BIAS);
	if (enter_instead(set))
		return 0;
	obstacle = find_obstacle(set);
	if (obstacle.range && limit->deadline && range__checked_covered(set)) {
		range__span_unlock(set, NULL);
		if (range__checked_covering_deadlock(set))
			return EDEADLK;
		range__span_lock(set, RANGE__KEEP_BIAS);
		obstacle = find_obstacle(set);
	}
	if (!obstacle.range) {
		/* Its release will be by the slow path, and look after those that wait. */
		if (has_waiters(set))
			range__passed = 0;
		hold_and_unlock(set);
	} else if (limit->try) {
		range__span_unlock(set, NULL);
		return EBUSY;
	} else if (range__checked_deadlock(set)) {
		range__span_unlock(set, NULL);
		return EDEADLK;
	} else {
		error = queue_and_wait(set, obstacle, limit);
	}
	for (size_t i = 0; !error && i < set->n; i++)
		range__adapt_note(set->lock, range__set_hold(set, i), RANGE__MEMORY);
	return error;
}

static void erase_and_unlock(struct range__lock *lock, struct range__leaf *leaf,
			     struct range__hold *range)
{
	uint64_t start = range->start, end = range->end;
	struct range__wakes wakes;

	wakes.n = 0;
	range__leaf_erase(leaf, range);
	range__wake(lock, leaf, start, end, &wakes);
	range__leaf_unlock(leaf, &wakes);
}

/* Leaf by leaf: to wait for all of them at once would help no thread. */
void range__release_slow(struct range__lock *lock, struct range__hold *range, uint64_t from)
{
	uint64_t key = from, end = range->end;
	struct range__leaf *hint = range->leaf[from != range->start];

	if (!range__is_wide(range) && range__leaf_lock_tree(hint, range)) {
		erase_and_unlock(lock, hint, range);
		return;
	}
	while (key < end) {
		struct range__leaf *leaf = range__forest_lock_key(lock, key, hint);

		key = range__leaf_hi(leaf);
		hint = range__leaf_right(leaf);
		erase_and_unlock(lock, leaf, range);
	}
}
