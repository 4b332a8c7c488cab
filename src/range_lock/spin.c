/* SPDX-License-Identifier: MIT */
#include "spin.h"
#include "fast_path.h"

enum {
	/* Pauses for which a thread spins for the end of a short critical section. */
	HOLD_SPINS = 1000,
	/*
	 * The same in a leaf with a range that may not conflict. To lock the leaf at once would
	 * cost both threads more if that range is about to be released.
	 */
	NEAR_SPINS = 4,
	MOST_PAUSES = 64, /* between two looks */
};

/*
 * For how many pauses a thread spins for a leaf. If only one range is in the leaf, and conflicts,
 * for a short critical section. The thread cannot know that range without locking the leaf, so it
 * guesses by the last owner's range.
 */
static unsigned int spins_worth(struct range__leaf *leaf, uint64_t word,
				const struct range__hold *range)
{
	bool reads = range->mode == RANGE_READ;

	switch (word & WORD_TAG) {
	case WORD_EMPTY:
		return word & WORD_EMPTY_WAITERS || (reads && range__bias_due(leaf)) ? 0
										     : HOLD_SPINS;
	case WORD_LOCKED:
		/* A reader must not lock a leaf just because another reader did. */
		return reads || range__is_wide(range) ? HOLD_SPINS : NEAR_SPINS;
	case WORD_SINGLE:
		if (reads && !(word & WORD_SINGLE_WRITER))
			return NEAR_SPINS;
		return range__overlaps_last(leaf, range) ? HOLD_SPINS : NEAR_SPINS;
	default:
		return 0;
	}
}

static bool may_be_free(uint64_t word, const struct range__hold *range)
{
	return (word & WORD_TAG) == WORD_EMPTY ||
	       (range__word_biased(word) && range->mode == RANGE_READ);
}

/* What the leaves of a range look like: whether all may be free, and how long to spin for them. */
struct look {
	bool free;
	unsigned int spins;
};

static struct look look_at_leaf(struct range__leaf *leaf, const struct range__hold *range)
{
	/* relaxed: a hint; the fast path loads it again */
	uint64_t word = atomic_load_explicit(&leaf->word, memory_order_relaxed);

	return (struct look){ may_be_free(word, range), spins_worth(leaf, word, range) };
}

static struct look look_at_range(struct range__lock *lock, struct range__hold *range)
{
	struct range__leaf *leaf = range__index_find(lock, range->start);
	struct look first, second;

	range__set_wide(range, !range__leaf_covers(leaf, range->start, range->end));
	first = look_at_leaf(leaf, range);
	if (!range__is_wide(range))
		return first;
	leaf = range__leaf_right(leaf);
	if (!leaf || range__leaf_hi(leaf) < range->end)
		return (struct look){ false, 0 };
	second = look_at_leaf(leaf, range);
	return (struct look){ first.free && second.free,
			      first.spins < second.spins ? first.spins : second.spins };
}

bool range__spin(struct range__lock *lock, struct range__hold *range)
{
	unsigned int pause = 1;

	if (!mmrange__spinning_helps())
		return false;
	for (unsigned int spent = 0;; spent += pause) {
		struct look seen = look_at_range(lock, range);

		if (seen.free && range__acquire_fast(lock, range))
			return true;
		if (spent >= seen.spins)
			return false;
		for (unsigned int i = 0; i < pause; i++)
			mmrange__relax();
		if (pause < MOST_PAUSES)
			pause *= 2;
	}
}
