/* SPDX-License-Identifier: MIT */
#include "fast_path.h"
#include "adapt.h"
#include "async.h"

/* Of so many acquisitions by which a thread passes waiters, one locks the leaf. */
enum { BARGES_IN_A_ROW = 64 };

MMRANGE__THREAD_LOCAL unsigned int range__barges;

void range__note_shared(struct range__lock *lock, const struct range__hold *range)
{
	range__adapt_note(lock, range, RANGE__MEMORY);
	range__async_run();
}

/*
 * Whether a newcomer may pass the waiters of a leaf. After some times it has to lock the leaf
 * instead. Its release then looks for waiters that have waited too long, even if the woken ones do
 * not get to run.
 */
static bool may_barge(uint64_t word)
{
	return !(word & WORD_EMPTY_WAITERS) || ++range__barges < BARGES_IN_A_ROW;
}

static bool may_be_single(struct range__leaf *leaf, uint64_t word, const struct range__hold *range)
{
	return (word & WORD_TAG) == WORD_EMPTY &&
	       (range->mode == RANGE_WRITE || !range__bias_due(leaf)) && may_barge(word);
}

/* For a reader in two biased leaves; word is that of the first. */
static bool enter_both(struct range__lock *lock, struct range__hold *range,
		       struct range__leaf *first, uint64_t word)
{
	struct range__leaf *second = range__leaf_right(first);

	if (!second)
		return false;
	range__set_wide(range, true);
	range->leaf[0] = first;
	range->saved_word[0] = word;
	range->leaf[1] = second;
	range->saved_word[1] = range__word_of(second);
	return range__word_biased(range->saved_word[1]) &&
	       range__leaf_lo(second) == range__leaf_hi(first) &&
	       range->end <= range__leaf_hi(second) && range__reader_enter(lock, range);
}

/* With the first leaf locked: swaps the word of the second, so that one moment decides for both. */
static bool make_second_single(struct range__leaf *second, struct range__hold *range)
{
	range->leaf[1] = second;
	range->saved_word[1] = range__word_of(second);
	return may_be_single(second, range->saved_word[1], range) &&
	       range->end <= range__leaf_hi(second) &&
	       range__make_single(second, range->saved_word[1], range, range->mode);
}

/* A hint, so that a thread does not lock the first leaf of a range that has more than two. */
static bool may_end_in(struct range__leaf *second, const struct range__hold *range)
{
	return second && range->end <= range__leaf_hi(second);
}

/* The fast path for two leaves: the range begins in the leaf and does not end there. */
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
						     memory_order_acquire, /* [LEAF-A2] */
						     memory_order_relaxed))
		return false;
	range__set_wide(range, true);
	range->leaf[0] = leaf;
	range->saved_word[0] = word;
	if (!make_second_single(range__leaf_right(leaf), range)) {
		range__leaf_unlock_to(leaf, word);
		return false;
	}
	range__leaf_unlock_to(leaf, range__word_single(range, range->mode));
	shared = range__is_shared(leaf, range->owner) ||
		 range__is_shared(range->leaf[1], range->owner);
	range__bias_note_fast(leaf, range->mode, shared);
	range__bias_note_fast(range->leaf[1], range->mode, shared);
	if (shared)
		range__note_shared(lock, range);
	return true;
}

/* In a leaf where other ranges are held, none of which conflicts, and no thread waits. */
static bool acquire_beside(struct range__lock *lock, struct range__hold *range,
			   struct range__leaf *leaf)
{
	if (!range__leaf_lock_tree(leaf, range))
		return false;
	if (leaf->waiters || leaf->nr_claims > 0 || range__leaf_holds_conflict(leaf, range)) {
		range__leaf_unlock(leaf, NULL);
		return false;
	}
	range__bias_note_locked(lock, leaf, range);
	range__leaf_hold_and_unlock(leaf, range);
	range__note_shared(lock, range);
	return true;
}

static bool acquire_one(struct range__lock *lock, struct range__hold *range,
			struct range__leaf *leaf, uint64_t word)
{
	bool shared;

	range__set_wide(range, false);
	range->leaf[0] = leaf;
	range->saved_word[0] = word;
	if (range->mode == RANGE_READ && range__word_biased(word))
		return range__reader_enter(lock, range);
	if (word == WORD_TREE)
		return acquire_beside(lock, range, leaf);
	if (!may_be_single(leaf, word, range) ||
	    !range__make_single(leaf, word, range, range->mode))
		return false;
	shared = range__is_shared(leaf, range->owner);
	range__bias_note_fast(leaf, range->mode, shared);
	if (shared)
		range__note_shared(lock, range);
	return true;
}

bool range__acquire_fast(struct range__lock *lock, struct range__hold *range)
{
	struct range__leaf *leaf = range__index_find(lock, range->start);
	uint64_t word = range__word_of(leaf);

	if (range__leaf_covers(leaf, range->start, range->end))
		return acquire_one(lock, range, leaf, word);
	return acquire_both(lock, range, leaf, word);
}
