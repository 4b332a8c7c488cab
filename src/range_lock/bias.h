/* SPDX-License-Identifier: MIT */
/*
 * bias - when a leaf becomes biased towards its readers, and how its bias is revoked.
 *
 * In a biased leaf readers enter through slots of their own threads (slots.h) and write nothing
 * shared. A writer has to revoke the bias first, which costs a heavy fence and a look at all slots.
 * A leaf therefore becomes biased only when its readers, since the last writer, have spent as much
 * time without a bias as a revocation costs. Whatever comes, the lock spends at most twice the
 * least possible time. (The "ski rental" argument; the bias itself is that of BRAVO, see slots.h.)
 */
#ifndef RANGE_LOCK_BIAS_H
#define RANGE_LOCK_BIAS_H

#include "platform/platform.h"
#include "set.h"

/* What one acquisition for reading costs more than a slot, in nanoseconds: guesses. */
enum {
	RANGE__UNBIASED_COST_ALONE = 4,    /* by the fast path */
	RANGE__UNBIASED_COST_SHARED = 64,  /* the same, if another thread has the leaf's line */
	RANGE__UNBIASED_COST_LOCKED = 128, /* with the leaf locked */
};

/* Which leaves of a set lose their bias. */
enum range__bias {
	RANGE__KEEP_BIAS,   /* those that writers of the set overlap; a reader revokes none */
	RANGE__REVOKE_BIAS, /* all: then all ranges held in them are recorded */
};

/* What a revocation costs, in nanoseconds. */
extern MMRANGE__LOCAL atomic_uint range__revocation_cost;

/*
 * Whether readers have spent enough for the leaf to become biased. Without the leaf's lock, a
 * guess.
 */
static inline bool range__bias_due(struct range__leaf *leaf)
{
	/* relaxed: guesses */
	return atomic_load_explicit(&leaf->unbiased_cost, memory_order_relaxed) >=
	       atomic_load_explicit(&range__revocation_cost, memory_order_relaxed);
}

/*
 * The fast path has acquired a range: adds what that cost a reader. A writer sets the sum to 0.
 * shared says whether another thread was the last in the leaf.
 */
static inline void range__bias_note_fast(struct range__leaf *leaf, enum range_mode mode,
					 bool shared)
{
	/* relaxed: a guess, any value does */
	uint32_t cost = atomic_load_explicit(&leaf->unbiased_cost, memory_order_relaxed);

	if (mode == RANGE_READ)
		cost += shared ? RANGE__UNBIASED_COST_SHARED : RANGE__UNBIASED_COST_ALONE;
	else if (cost == 0)
		return;
	else
		cost = 0;
	atomic_store_explicit(&leaf->unbiased_cost, cost, memory_order_relaxed);
}

/*
 * With the leaf locked, for a range that is about to be held in it, is in no slot, and conflicts
 * with none: adds what that costs. If the sum is due, the leaf becomes biased. In a leaf that is
 * biased already, only readers without a free slot come here: if their sum is due, the bias is of
 * no use and is revoked.
 */
void range__bias_note_locked(struct range__lock *lock, struct range__leaf *leaf,
			     const struct range__hold *range);

/*
 * With all leaves of a set locked: revokes the bias of some of them, or of all, with one fence, and
 * adopts all readers in them.
 */
void range__bias_revoke(struct range__set *set, enum range__bias bias);

/* With the leaf locked: the same for one leaf. */
void range__bias_revoke_leaf(struct range__lock *lock, struct range__leaf *leaf);

#endif
