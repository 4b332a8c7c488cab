/* SPDX-License-Identifier: MIT */
/*
 * The entry points: what is wrong with the arguments, and the fast paths. One compare-and-swap
 * acquires a range in an empty leaf, one releases it if it has been alone there ever since.
 */
#include "adapt.h"
#include "checked.h"
#include "copy.h"
#include "forest.h"
#include "platform/platform.h"
#include "reader.h"
#include "wait.h"

#include <errno.h>

/* Of so many acquisitions of a thread that pass waiters, one locks the leaf. */
enum { PASSES = 64 };

/* In the checked build, also registers the range as in use. */
static int prepare(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
		   enum range_mode mode)
{
	if (start >= end || (mode != RANGE_READ && mode != RANGE_WRITE))
		return EINVAL;
	range__checked_begin(lock, range);
	range->start = start;
	range->end = end;
	range->mode = (uint8_t)mode;
	range->owner = mmrange__self();
	return 0;
}

/*
 * A newcomer is about to pass those who wait in the leaf. After some times it has to lock the leaf
 * instead: then its release looks for waiters that have waited for too long, also if those that
 * have been woken do not get to run.
 */
static bool may_pass(uint64_t word)
{
	return !(word & WORD_WAITERS) || ++range__passed < PASSES;
}

bool range__acquire_fast(struct range_lock *lock, struct range_hold *range)
{
	struct range__leaf *leaf = range__index_find(lock, range->start);
	/* acquire: [B] */
	uint64_t word = atomic_load_explicit(&leaf->word, memory_order_acquire);
	bool shared;

	if (!range__leaf_covers(leaf, range->start, range->end))
		return false;
	if (range->mode == RANGE_READ) {
		if (range__word_biased(word))
			return range__reader_enter(lock, leaf, range, word);
		if (range__slots_due(leaf))
			return false;
	}
	if ((word & WORD_TAG) != WORD_EMPTY || !may_pass(word))
		return false;
	range->leaf = leaf;
	range->stamp = word;
	if (!atomic_compare_exchange_strong_explicit(&leaf->word, &word, range__word_single(range),
						     memory_order_acq_rel, /* [A1] */
						     memory_order_relaxed))
		return false;
	/* relaxed: a guess */
	shared = atomic_load_explicit(&leaf->last_owner, memory_order_relaxed) != range->owner;
	range__slots_pay(leaf, range, shared);
	if (shared)
		range__adapt_note(lock, leaf, range);
	return true;
}

static int acquire(struct range_lock *lock, struct range_hold *range,
		   const struct range__limit *limit)
{
	int error = 0;

	/* The slow path claims the lock for this copy of the library, or stops. */
	if (!range__copy_owns(lock) || !range__acquire_fast(lock, range))
		error = range__acquire_slow(lock, range, limit);
	range__checked_end(range, error);
	return error;
}

int range_lock(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
	       enum range_mode mode)
{
	static const struct range__limit limit = { .clock = CLOCK_MONOTONIC };
	int error = prepare(lock, range, start, end, mode);

	return error ? error : acquire(lock, range, &limit);
}

int range_trylock(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
		  enum range_mode mode)
{
	static const struct range__limit limit = { .try = true, .clock = CLOCK_MONOTONIC };
	int error = prepare(lock, range, start, end, mode);

	return error ? error : acquire(lock, range, &limit);
}

int range_timedlock(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
		    enum range_mode mode, clockid_t clock, const struct timespec *deadline)
{
	struct range__limit limit = { .clock = clock, .deadline = deadline };
	int error;

	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
		return EINVAL;
	if (deadline && (deadline->tv_nsec < 0 || deadline->tv_nsec > 999999999))
		return EINVAL;
	error = prepare(lock, range, start, end, mode);
	return error ? error : acquire(lock, range, &limit);
}

/* Out of line, so that range_unlock() needs no stack. */
__attribute__((noinline)) static void claim_and_unlock(struct range_lock *lock,
						       struct range_hold *range)
{
	range__copy_check(lock);
	range_unlock(lock, range);
}

void range_unlock(struct range_lock *lock, struct range_hold *range)
{
	uint64_t word = range__word_single(range);

	if (!range__copy_owns(lock)) {
		claim_and_unlock(lock, range);
		return;
	}
	range__checked_release(lock, range);
	if (range__word_biased(range->stamp))
		range__reader_leave(lock, range);
	else if (!atomic_compare_exchange_strong_explicit(&range->leaf->word, &word, range->stamp,
							  memory_order_release, /* [U1] */
							  memory_order_relaxed))
		range__release_slow(lock, range);
}
