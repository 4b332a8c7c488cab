/* SPDX-License-Identifier: MIT */
/*
 * The entry points, and the fast paths. One compare-and-swap acquires a range in an empty leaf, one
 * releases it if it has been alone there ever since; a reader in a biased leaf does with stores to a
 * slot of its thread (slots.h). Whatever is not so is left to functions that are called last, so
 * that the fast paths need no stack.
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

static inline uint64_t word_of(struct range__leaf *leaf)
{
	/* acquire: [B] */
	return atomic_load_explicit(&leaf->word, memory_order_acquire);
}

static inline bool make_single(struct range__leaf *leaf, uint64_t word, struct range__hold *range,
			       enum range_mode mode)
{
	return atomic_compare_exchange_strong_explicit(&leaf->word, &word,
						       range__word_single(range, mode),
						       memory_order_acq_rel, /* [A1] */
						       memory_order_relaxed);
}

static inline bool is_shared(struct range__leaf *leaf, uint64_t owner)
{
	/* relaxed: a guess */
	return atomic_load_explicit(&leaf->last_owner, memory_order_relaxed) != (uint32_t)owner;
}

/*
 * A newcomer is about to pass those that wait in the leaf. After some times it has to lock the leaf
 * instead: then its release looks for waiters that have waited for too long, also if those that
 * have been woken do not get to run.
 */
static bool may_pass(uint64_t word)
{
	return !(word & WORD_WAITERS) || ++range__passed < PASSES;
}

static bool may_be_single(struct range__leaf *leaf, uint64_t word, const struct range__hold *range)
{
	return (word & WORD_TAG) == WORD_EMPTY &&
	       (range->mode == RANGE_WRITE || !range__slots_due(leaf)) && may_pass(word);
}

/* Two leaves that are biased, first being one, and word its word. */
static bool enter_both(struct range__lock *lock, struct range__hold *range,
		       struct range__leaf *first, uint64_t word)
{
	struct range__leaf *second = range__leaf_right(first);

	if (!second)
		return false;
	range__set_wide(range, true);
	range->leaf[0] = first;
	range->stamp[0] = word;
	range->leaf[1] = second;
	range->stamp[1] = word_of(second);
	return range__word_biased(range->stamp[1]) &&
	       range__leaf_lo(second) == range__leaf_hi(first) &&
	       range->end <= range__leaf_hi(second) && range__reader_enter(lock, range);
}

/* With the first leaf locked: swaps the word of the next one, so that both are decided at once. */
static bool make_second_single(struct range__leaf *second, struct range__hold *range)
{
	range->leaf[1] = second;
	range->stamp[1] = word_of(second);
	return may_be_single(second, range->stamp[1], range) &&
	       range->end <= range__leaf_hi(second) &&
	       make_single(second, range->stamp[1], range, range->mode);
}

/* A hint: not to lock the first leaf of a range that has more than two. */
static bool may_end_in(struct range__leaf *second, const struct range__hold *range)
{
	return second && range->end <= range__leaf_hi(second);
}

/* The range begins in the leaf, and does not end there: the fast path for two leaves. */
__attribute__((noinline)) static bool acquire_both(struct range__lock *lock,
						   struct range__hold *range,
						   struct range__leaf *leaf, uint64_t word)
{
	uint64_t expected = word;
	bool shared;

	if (!range__leaf_has(leaf, range->start))
		return false;
	if (range->mode == RANGE_READ && range__word_biased(word))
		return enter_both(lock, range, leaf, word);
	if (!may_end_in(range__leaf_right(leaf), range) || !may_be_single(leaf, word, range) ||
	    !atomic_compare_exchange_strong_explicit(&leaf->word, &expected, WORD_LOCKED,
						     memory_order_acquire, /* [A2] */
						     memory_order_relaxed))
		return false;
	range__set_wide(range, true);
	range->leaf[0] = leaf;
	range->stamp[0] = word;
	if (!make_second_single(range__leaf_right(leaf), range)) {
		range__leaf_unlock_to(leaf, word);
		return false;
	}
	range__leaf_unlock_to(leaf, range__word_single(range, range->mode));
	shared = is_shared(leaf, range->owner) || is_shared(range->leaf[1], range->owner);
	range__slots_pay(leaf, range->mode, shared);
	range__slots_pay(range->leaf[1], range->mode, shared);
	if (shared)
		range__adapt_note(lock, range, RANGE__MEMORY);
	return true;
}

/* A leaf in which others hold ranges, none of which conflicts, and no thread waits. */
static bool acquire_beside(struct range__lock *lock, struct range__hold *range,
			   struct range__leaf *leaf)
{
	if (!range__leaf_lock_tree(leaf, range))
		return false;
	if (leaf->waiters || leaf->nr_claims > 0 || range__leaf_holds_conflict(leaf, range)) {
		range__leaf_unlock(leaf, NULL);
		return false;
	}
	range__slots_consider(lock, leaf, range);
	range__leaf_hold_and_unlock(leaf, range);
	range__adapt_note(lock, range, RANGE__MEMORY);
	return true;
}

static bool acquire_one(struct range__lock *lock, struct range__hold *range,
			struct range__leaf *leaf, uint64_t word)
{
	bool shared;

	range__set_wide(range, false);
	range->leaf[0] = leaf;
	range->stamp[0] = word;
	if (range->mode == RANGE_READ && range__word_biased(word))
		return range__reader_enter(lock, range);
	if (word == WORD_TREE)
		return acquire_beside(lock, range, leaf);
	if (!may_be_single(leaf, word, range) || !make_single(leaf, word, range, range->mode))
		return false;
	shared = is_shared(leaf, range->owner);
	range__slots_pay(leaf, range->mode, shared);
	if (shared)
		range__adapt_note(lock, range, RANGE__MEMORY);
	return true;
}

bool range__acquire_fast(struct range__lock *lock, struct range__hold *range)
{
	struct range__leaf *leaf = range__index_find(lock, range->start);
	uint64_t word = word_of(leaf);

	if (range__leaf_covers(leaf, range->start, range->end))
		return acquire_one(lock, range, leaf, word);
	return acquire_both(lock, range, leaf, word);
}

static int acquire_slow(struct range__lock *lock, struct range__hold *range,
			const struct range__limit *limit)
{
	struct range__set set = range__set_of(lock, range);

	return range__acquire_slow(&set, limit);
}

/* Whatever the arguments are. */
__attribute__((noinline)) static int acquire(struct range__lock *lock, struct range__hold *range,
					     uint64_t start, uint64_t end, enum range_mode mode,
					     const struct range__limit *limit)
{
	int error = 0;

	if (start >= end || (mode != RANGE_READ && mode != RANGE_WRITE))
		return EINVAL;
	range__checked_begin(lock, range);
	range->start = start;
	range->end = end;
	range->mode = mode;
	range->how = 0;
	range->owner = mmrange__self();
	/* The slow path claims the lock for this copy of the library, or stops. */
	if (!range__copy_owns(lock) || !range__acquire_fast(lock, range))
		error = acquire_slow(lock, range, limit);
	range__checked_end(range, error);
	return error;
}

/* The range has been published, and then its leaf had changed. */
__attribute__((noinline)) static int acquire_disturbed(struct range__lock *lock,
						       struct range__hold *range,
						       const struct range__limit *limit)
{
	return range__reader_settle(lock, range) ? 0 : acquire_slow(lock, range, limit);
}

__attribute__((noinline)) static int note(struct range__lock *lock, struct range__hold *range)
{
	range__adapt_note(lock, range, RANGE__MEMORY);
	return 0;
}

/* A reader in a leaf that is biased: one slot. Its owner is that of the slot. */
__attribute__((always_inline)) static inline int
enter_plain(struct range__leaf *leaf, uint64_t word, struct range__lock *lock,
	    struct range__hold *range, uint64_t start, uint64_t end,
	    const struct range__limit *limit)
{
	struct range__slot *slot = &range__slots_own->slot[0];
	/* acquire: pairs with the release in range__slot_free() */
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);

	if ((state & SLOT_TAG) != SLOT_FREE)
		return acquire(lock, range, start, end, RANGE_READ, limit);
	range->how = RANGE__SLOT;
	range->owner = 0; /* see adopt() in slots.c */
	/* Both: the leaf may have been split since its word was loaded. */
	range->node[0].height = range->node[1].height = 0;
	range__slot_fill(slot, state, lock, range, start, end);
	mmrange__light_fence(); /* [L] */
	return range__slot_sees(leaf, word) ? 0 : acquire_disturbed(lock, range, limit);
}

/* In a leaf that has the range, if its word is EMPTY or BIASED: by one swap or one slot. */
__attribute__((always_inline)) static inline int
acquire_in(struct range__leaf *leaf, uint64_t word, struct range__lock *lock,
	   struct range__hold *range, uint64_t start, uint64_t end, enum range_mode mode,
	   const struct range__limit *limit)
{
	uint64_t self;
	bool shared;

	range->start = start;
	range->end = end;
	range->mode = mode;
	range->leaf[0] = leaf;
	range->stamp[0] = word;
	if (mode == RANGE_READ && range__word_biased(word))
		return enter_plain(leaf, word, lock, range, start, end, limit);
	self = mmrange__thread;
	range->how = 0;
	range->owner = self;
	if ((word & (WORD_TAG | WORD_WAITERS)) != WORD_EMPTY || !self ||
	    (mode == RANGE_READ && range__slots_due(leaf)) || !make_single(leaf, word, range, mode))
		return acquire(lock, range, start, end, mode, limit);
	shared = is_shared(leaf, self);
	range__slots_pay(leaf, mode, shared);
	return shared ? note(lock, range) : 0;
}

/* In a lock that has had several leaves. */
__attribute__((noinline)) static int acquire_indexed(struct range__lock *lock,
						     struct range__hold *range, uint64_t start,
						     uint64_t end, enum range_mode mode,
						     const struct range__limit *limit)
{
	struct range__leaf *leaf = range__index_find(lock, start);
	uint64_t word = word_of(leaf);

	if (!range__leaf_covers(leaf, start, end))
		return acquire(lock, range, start, end, mode, limit);
	return acquire_in(leaf, word, lock, range, start, end, mode, limit);
}

/* The root has all keys, or its word is neither EMPTY nor BIASED: see move_root() of forest.c. */
__attribute__((always_inline)) static inline int
acquire_plain(struct range__lock *lock, struct range__hold *range, uint64_t start, uint64_t end,
	      enum range_mode mode, const struct range__limit *limit)
{
	if (RANGE__CHECKED || start >= end || (unsigned int)mode > RANGE_WRITE ||
	    !range__copy_owns(lock))
		return acquire(lock, range, start, end, mode, limit);
	/* acquire: as in range__index_find() */
	if (atomic_load_explicit(&lock->forest, memory_order_acquire))
		return acquire_indexed(lock, range, start, end, mode, limit);
	return acquire_in(&lock->root, word_of(&lock->root), lock, range, start, end, mode, limit);
}

int range_lock(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
	       enum range_mode mode)
{
	static const struct range__limit limit = { .clock = CLOCK_MONOTONIC };

	return acquire_plain(range__lock(lock), range__hold(range), start, end, mode, &limit);
}

int range_trylock(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
		  enum range_mode mode)
{
	static const struct range__limit limit = { .try = true, .clock = CLOCK_MONOTONIC };

	return acquire_plain(range__lock(lock), range__hold(range), start, end, mode, &limit);
}

int range_timedlock(struct range_lock *lock, struct range_hold *range, uint64_t start, uint64_t end,
		    enum range_mode mode, clockid_t clock, const struct timespec *deadline)
{
	const struct range__limit limit = { .clock = clock, .deadline = deadline };

	if (!range__limit_valid(&limit))
		return EINVAL;
	return acquire(range__lock(lock), range__hold(range), start, end, mode, &limit);
}

static inline bool release_single(struct range__hold *range, unsigned int which)
{
	uint64_t word = range__word_single(range, range->mode);

	return atomic_compare_exchange_strong_explicit(&range->leaf[which]->word, &word,
						       range->stamp[which],
						       memory_order_release, /* [U1] */
						       memory_order_relaxed);
}

/* While the range is in the word of its first leaf, what comes next to that does not change. */
__attribute__((noinline)) static void release_wide(struct range__lock *lock,
						   struct range__hold *range)
{
	uint64_t from = range->start;

	if (range__leaf_right(range->leaf[0]) == range->leaf[1] && release_single(range, 0)) {
		if (release_single(range, 1))
			return;
		from = range->end - 1;
	}
	range__release_slow(lock, range, from);
}

__attribute__((noinline)) static void claim_and_unlock(struct range_lock *lock,
						       struct range_hold *range)
{
	range__copy_check(range__lock(lock));
	range_unlock(lock, range);
}

void range_unlock(struct range_lock *lock_, struct range_hold *range_)
{
	struct range__lock *lock = range__lock(lock_);
	struct range__hold *range = range__hold(range_);

	if (!range__copy_owns(lock)) {
		claim_and_unlock(lock_, range_);
		return;
	}
	range__checked_release(lock, range);
	if (range->how == RANGE__SLOT)
		range__reader_leave(lock, range);
	else if (range->how == (RANGE__SLOT | RANGE__WIDE))
		range__reader_leave_wide(lock, range);
	else if (range->how == RANGE__WIDE)
		release_wide(lock, range);
	else if (range->how == RANGE__TREE || !release_single(range, 0))
		range__release_slow(lock, range, range->start);
}
