/* SPDX-License-Identifier: MIT */
#include "leaf.h"
#include "platform/platform.h"

/* Compare-and-swaps before a thread takes a word that keeps changing by exchange. */
enum { LOCK_SWAPS = 4 };

/* The range in a SINGLE word. */
static struct range__hold *range_in(uint64_t word)
{
	return (struct range__hold *)(uintptr_t)(word & ~(WORD_TAG | WORD_SINGLE_WRITER));
}

void range__leaf_init(struct range__leaf *leaf)
{
	*leaf = (struct range__leaf){ .word = 0 };
	atomic_init(&leaf->not_hi, UINT64_MAX);
}

/*
 * One attempt to make an unlocked word LOCKED. Where the fast path acquires and releases the leaf
 * all the time, swaps may fail without bound, and an exchange cannot fail. The exchange may hit a
 * word that another thread has locked meanwhile. It sets SLEEPERS, because it must not take that
 * mark away.
 */
static bool try_lock_word(struct range__leaf *leaf, uint64_t *word, uint64_t locked, int attempt)
{
	if (attempt < LOCK_SWAPS)
		return atomic_compare_exchange_weak_explicit(&leaf->word, word, locked,
							     memory_order_acquire, /* [LEAF-A2] */
							     memory_order_relaxed);
	*word = atomic_exchange_explicit(&leaf->word, WORD_LOCKED | WORD_LOCKED_SLEEPERS,
					 memory_order_acquire /* [LEAF-A2] */);
	return (*word & WORD_TAG) != WORD_LOCKED;
}

/* With the leaf locked, whose word was this. */
static void record_single(struct range__leaf *leaf, uint64_t word)
{
	if ((word & WORD_TAG) == WORD_SINGLE)
		range__leaf_record(leaf, range_in(word));
}

void range__leaf_lock(struct range__leaf *leaf)
{
	uint64_t locked = WORD_LOCKED;
	unsigned int spins = 0;
	int attempts = 0;

	for (;;) {
		/* relaxed: the swap decides, and acquires */
		uint64_t word = atomic_load_explicit(&leaf->word, memory_order_relaxed);

		if ((word & WORD_TAG) != WORD_LOCKED) {
			if (!try_lock_word(leaf, &word, locked, attempts++))
				continue;
			record_single(leaf, word);
			return;
		}
		if (mmrange__spin(&spins))
			continue;
		if (word == WORD_LOCKED &&
		    !atomic_compare_exchange_weak_explicit(
			    &leaf->word, &word, WORD_LOCKED | WORD_LOCKED_SLEEPERS,
			    memory_order_relaxed, memory_order_relaxed))
			continue;
		mmrange__park(&leaf->word, WORD_LOCKED | WORD_LOCKED_SLEEPERS, CLOCK_MONOTONIC,
			      NULL);
		/*
		 * The unlock wakes one thread at a time, which stands in for those that still
		 * sleep.
		 */
		locked = WORD_LOCKED | WORD_LOCKED_SLEEPERS;
	}
}

bool range__leaf_trylock(struct range__leaf *leaf)
{
	/* relaxed: the swap decides, and acquires */
	uint64_t word = atomic_load_explicit(&leaf->word, memory_order_relaxed);

	if ((word & WORD_TAG) == WORD_LOCKED ||
	    !atomic_compare_exchange_strong_explicit(&leaf->word, &word, WORD_LOCKED,
						     memory_order_acquire, /* [LEAF-A2] */
						     memory_order_relaxed))
		return false;
	record_single(leaf, word);
	return true;
}

bool range__leaf_lock_tree(struct range__leaf *leaf, const struct range__hold *range)
{
	uint64_t word = WORD_TREE;

	if (!atomic_compare_exchange_strong_explicit(&leaf->word, &word, WORD_LOCKED,
						     memory_order_acquire, /* [LEAF-A2] */
						     memory_order_relaxed))
		return false;
	if (range__leaf_covers(leaf, range->start, range->end))
		return true;
	range__leaf_unlock(leaf, NULL);
	return false;
}

void range__leaf_unlock_to(struct range__leaf *leaf, uint64_t word)
{
	/* [LEAF-U2] From here on the leaf and its waiters may be gone: only addresses are used. */
	uint64_t old = atomic_exchange_explicit(&leaf->word, word, memory_order_release);

	if (old & WORD_LOCKED_SLEEPERS)
		mmrange__unpark(&leaf->word, false);
}

static uint64_t unlocked_word(struct range__leaf *leaf)
{
	if (leaf->biased)
		return range__word_of_bias(range__leaf_generation(leaf));
	if (leaf->held || leaf->covers > 0 || leaf->nr_claims > 0)
		return WORD_TREE;
	if (!leaf->waiters)
		return range__word_empty(range__leaf_generation(leaf));
	if (leaf->nr_woken > 0 && leaf->nr_starving == 0)
		return range__word_empty(range__leaf_generation(leaf)) | WORD_EMPTY_WAITERS;
	return WORD_TREE;
}

void range__wake_all(const struct range__wakes *wakes)
{
	for (unsigned int i = 0; i < wakes->n; i++)
		mmrange__unpark(wakes->state[i], false);
}

void range__leaf_unlock(struct range__leaf *leaf, const struct range__wakes *wakes)
{
	range__leaf_unlock_to(leaf, unlocked_word(leaf));
	if (wakes)
		range__wake_all(wakes);
}

struct range__node *range__leaf_node(struct range__leaf *leaf, struct range__hold *range)
{
	if (range->start >= range__leaf_lo(leaf))
		return &range->node[0];
	return range->end <= range__leaf_hi(leaf) ? &range->node[1] : NULL;
}

void range__leaf_record(struct range__leaf *leaf, struct range__hold *range)
{
	struct range__node *node = range__leaf_node(leaf, range);

	if (node)
		range__tree_insert(&leaf->held, range, node == &range->node[1]);
	else if (range->mode == RANGE_WRITE)
		leaf->covers = RANGE__COVERS_WRITER;
	else
		leaf->covers++;
}

void range__leaf_erase(struct range__leaf *leaf, struct range__hold *range)
{
	struct range__node *node = range__leaf_node(leaf, range);

	if (node)
		range__tree_erase(&leaf->held, node);
	else if (range->mode == RANGE_WRITE)
		leaf->covers = 0;
	else
		leaf->covers--;
}

void range__leaf_hold_and_unlock(struct range__leaf *leaf, struct range__hold *range)
{
	struct range__node *node = range__leaf_node(leaf, range);

	if (node && range__leaf_vacant(leaf) && !leaf->biased) {
		range->saved_word[node == &range->node[1]] =
			range__word_empty(range__leaf_generation(leaf));
		range__leaf_unlock_to(leaf, range__word_single(range, range->mode));
	} else {
		if (!range__is_wide(range))
			range->how |= RANGE__TREE;
		range__leaf_record(leaf, range);
		range__leaf_unlock(leaf, NULL);
	}
}

bool range__leaf_holds_conflict(struct range__leaf *leaf, const struct range__hold *range)
{
	if (leaf->covers > 0 &&
	    (range->mode == RANGE_WRITE || leaf->covers == RANGE__COVERS_WRITER))
		return true;
	return range__tree_overlap(leaf->held, range->start, range->end,
				   range->mode == RANGE_READ) != NULL;
}
