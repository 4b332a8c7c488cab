/* SPDX-License-Identifier: MIT */
/*
 * release - releasing a range that is not in a slot.
 */
#ifndef RANGE_LOCK_RELEASE_H
#define RANGE_LOCK_RELEASE_H

#include "leaf.h"

/*
 * Releases the range in its first leaf (0) or its last (1), if that leaf's word has it still: one
 * swap.
 */
static inline bool range__release_single(struct range__hold *range, unsigned int which)
{
	uint64_t word = range__word_single(range, range->mode);

	return atomic_compare_exchange_strong_explicit(&range->leaf[which]->word, &word,
						       range->saved_word[which],
						       memory_order_release, /* [LEAF-U1] */
						       memory_order_relaxed);
}

/* Releases a range in several leaves. */
void range__release_wide(struct range__lock *lock, struct range__hold *range);

/*
 * Releases a range in the leaf that owns the key from, which is in the range, and in all leaves
 * above.
 */
void range__release_slow(struct range__lock *lock, struct range__hold *range, uint64_t from);

#endif
