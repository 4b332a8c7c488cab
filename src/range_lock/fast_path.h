/* SPDX-License-Identifier: MIT */
/*
 * fast_path - acquiring a range without waiting, and without locking a leaf that another thread has
 * locked.
 *
 * One compare-and-swap acquires a range in an empty leaf. A reader in a biased leaf publishes its
 * range in a slot of its own thread instead (slots.h).
 *
 * The inline functions serve a range that lies in one leaf, for the entry points. They call no
 * function, so that the entry points need no stack when they succeed. range__acquire_fast() serves
 * any range.
 */
#ifndef RANGE_LOCK_FAST_PATH_H
#define RANGE_LOCK_FAST_PATH_H

#include "bias.h"
#include "copy.h"
#include "history.h"
#include "index.h"
#include "reader.h"

/* What an attempt comes to. */
enum range__fast {
	RANGE__FAST_FAILED,    /* nothing is held */
	RANGE__FAST_HELD,      /* the range is held */
	RANGE__FAST_SHARED,    /* the same, and range__note_shared() is due */
	RANGE__FAST_DISTURBED, /* a reader has published its range, and then its leaf changed */
};

/*
 * How often the thread has passed waiters by the fast path since it last came by the slow one.
 */
extern MMRANGE__LOCAL MMRANGE__THREAD_LOCAL unsigned int range__barges;

static inline uint64_t range__word_of(struct range__leaf *leaf)
{
	/* acquire: [LEAF-B] */
	return atomic_load_explicit(&leaf->word, memory_order_acquire);
}

static inline bool range__make_single(struct range__leaf *leaf, uint64_t word,
				      struct range__hold *range, enum range_mode mode)
{
	return atomic_compare_exchange_strong_explicit(&leaf->word, &word,
						       range__word_single(range, mode),
						       memory_order_acq_rel, /* [LEAF-A1] */
						       memory_order_relaxed);
}

/* A reader in a leaf that is biased takes one slot. The range's owner is that of the slot. */
__attribute__((always_inline)) static inline enum range__fast
range__enter_plain(struct range__leaf *leaf, uint64_t word, struct range__lock *lock,
		   struct range__hold *range, uint64_t start, uint64_t end)
{
	struct range__slot *slot = &range__slots_own->slot[0];
	/* acquire: pairs with the release in range__slot_free() */
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_acquire);

	if ((state & SLOT_TAG) != SLOT_FREE)
		return RANGE__FAST_FAILED;
	range->how = RANGE__SLOT;
	range->owner = 0; /* see adopt_reader() in slots.c */
	/* Both nodes: the leaf may have been split since its word was loaded. */
	range__nodes_init(range);
	range__slot_fill(slot, state, lock, range, start, end);
	mmrange__light_fence(); /* [SLOT-L] */
	return range__slot_sees(leaf, word) ? RANGE__FAST_HELD : RANGE__FAST_DISTURBED;
}

/* In a leaf that has the range, if its word is EMPTY or BIASED. */
__attribute__((always_inline)) static inline enum range__fast
range__acquire_in_leaf(struct range__leaf *leaf, uint64_t word, struct range__lock *lock,
		       struct range__hold *range, uint64_t start, uint64_t end,
		       enum range_mode mode)
{
	uint64_t self;
	bool shared;

	range->start = start;
	range->end = end;
	range->mode = mode;
	range->leaf[0] = leaf;
	range->saved_word[0] = word;
	if (mode == RANGE_READ && range__word_biased(word))
		return range__enter_plain(leaf, word, lock, range, start, end);
	self = mmrange__thread;
	range->how = 0;
	range->owner = self;
	if ((word & (WORD_TAG | WORD_EMPTY_WAITERS)) != WORD_EMPTY || !self ||
	    (mode == RANGE_READ && range__bias_due(leaf)) ||
	    !range__make_single(leaf, word, range, mode))
		return RANGE__FAST_FAILED;
	shared = range__is_shared(leaf, self);
	range__bias_note_fast(leaf, mode, shared);
	return shared ? RANGE__FAST_SHARED : RANGE__FAST_HELD;
}

/*
 * With nothing locked, after an acquisition that met another thread's range: range__adapt_note().
 * If that calls a memory hook, the hook may make requests due.
 */
void range__note_shared(struct range__lock *lock, const struct range__hold *range);

/*
 * Acquires a range whose fields are set, in any number of leaves. False: nothing is held. It may
 * lock a leaf that no other thread has locked.
 */
bool range__acquire_fast(struct range__lock *lock, struct range__hold *range);

#endif
