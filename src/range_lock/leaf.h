/* SPDX-License-Identifier: MIT */
/*
 * leaf - one part [lo, hi) of the key space: its lock word, the ranges held in it, and the queue of
 * those that wait.
 *
 * The lock word says what is in the leaf:
 *
 *	EMPTY(generation)  nothing is held; with WAITERS, somebody waits
 *	SINGLE(range)      one range is held, and the tree is empty; the word is otherwise as before
 *	TREE               unlocked, there are ranges in the tree or in the queue, or seams; with
 *	                   ALONE, one writer, and nobody waits: it is legal not to say so
 *	BIASED(generation) unlocked, and readers may be in without a trace here: see slots.h
 *	LOCKED             a thread works on the leaf; with SLEEPERS, others may be parked on the
 *	                   word
 *
 * Who may do what:
 *
 *	EMPTY -> SINGLE       anybody whose range lies within lo and hi: an acquisition, in one step
 *	SINGLE -> EMPTY       whoever releases that range, in one step, back to the word it replaced
 *	any -> LOCKED         anybody, by range__leaf_lock(), if it is not LOCKED; out of SINGLE it
 *	                      puts the range into the tree. Out of BIASED it ends the bias; readers
 *	                      may leave that as it is, by range__leaf_lock_reader()
 *	LOCKED -> any         who locked it, by range__leaf_unlock()
 *	LOCKED -> + SLEEPERS  anybody, to park afterwards, or by an exchange that came too late: it
 *	                      is legal to set it and not to park; that costs a wake-up of nobody
 *
 * EMPTY with WAITERS is for newcomers who pass waiters, which is when there are more threads than
 * cores and they collide all the time. It needs that some waiter is WOKEN and none is starving:
 * then all others have a woken one as their cause (see leaf.c), so that a release has nobody to
 * wake.
 *
 * Invariants:
 *
 *	R1  every range, held or waiting, lies inside exactly one leaf: the one whose bounds hold it
 *	R2  the bounds change only while the word is LOCKED, and the generation with them
 *	R5  nothing that is touched after the word is unlocked belongs to a waiter, whose thread may
 *	    have gone on: waking uses its address alone
 *
 * Ordering: the word carries all of it. Everything else in a leaf is plain and under LOCKED, or
 *           relaxed.
 *
 *	[A1] EMPTY -> SINGLE: acquire, from [U1] or [U2] of those who were here before; release, of
 *	     the range's fields to whoever finds it in the word, [A2]
 *	[A2] any -> LOCKED: acquire, from [A1] (the range's fields), [U1] and [U2]
 *	[U1] SINGLE -> EMPTY: release, to [A1] and [A2]
 *	[U2] LOCKED -> any: release, to [A1] and [A2]; when it makes the word SINGLE, as [A1]
 *	[C]  state -> CANCELED, DEADLOCKED: release, by who took the range out of the queue, as the
 *	     last touch of it; pairs with the acquire in wait.c, after which the waiter may be gone
 *	[B]  the bounds are loaded after an acquire load of the word. They may be newer than the
 *	     word that was loaded: then the generation is newer too, and the swap that relies on
 *	     them fails; so does the second look of a reader that publishes, as [H] of slots.h
 *	     comes before the bounds change
 */
#ifndef RANGE_LOCK_LEAF_H
#define RANGE_LOCK_LEAF_H

#include "interval_tree.h"

#include <stdatomic.h>

/*
 * Tags in the low bits; a struct range_hold is aligned to 8. The low 32 bits of a LOCKED word are like
 * those of no other word, so that threads can be parked on it.
 */
#define WORD_TAG              UINT64_C(3)
#define WORD_EMPTY            UINT64_C(0)
#define WORD_SINGLE           UINT64_C(1)
#define WORD_TREE             UINT64_C(2)
#define WORD_LOCKED           UINT64_C(3)
#define WORD_WAITERS          UINT64_C(4) /* with EMPTY */
#define WORD_WRITER           UINT64_C(4) /* with SINGLE */
#define WORD_ALONE            UINT64_C(8) /* with TREE */
#define WORD_SLEEPERS         UINT64_C(4) /* with LOCKED */
#define WORD_BIASED           UINT64_C(4) /* with TREE */
#define WORD_GENERATION_SHIFT 3

/*
 * What struct range_hold's state says of a waiter. Written under the leaf's lock; the waiter itself
 * reads it without. After CANCELED and DEADLOCKED it is in no queue any more, see [C]. LOOKS is
 * for the checked build: the range waits as in WAITING, but its thread has something to do before
 * it parks again, and makes it WAITING by a compare-and-swap, see deadlock.c.
 */
enum { RANGE_WAITING, RANGE_WOKEN, RANGE_CANCELED, RANGE_DEADLOCKED, RANGE_LOOKS };

_Static_assert(_Alignof(struct range_hold) % 8 == 0, "the low bits of the address are tags");

/* Waiters to be woken after the leaf is unlocked. */
struct range__wakes {
	unsigned int n;
	_Atomic(uint64_t) *state[64];
};

static inline uint64_t range__word_empty(uint64_t generation)
{
	return generation << WORD_GENERATION_SHIFT | WORD_EMPTY;
}

static inline uint64_t range__word_of_bias(uint64_t generation)
{
	return generation << WORD_GENERATION_SHIFT | WORD_BIASED | WORD_TREE;
}

static inline bool range__word_biased(uint64_t word)
{
	return (word & (WORD_TAG | WORD_BIASED)) == (WORD_TREE | WORD_BIASED);
}

static inline uint64_t range__word_single(const struct range_hold *range)
{
	return (uint64_t)(uintptr_t)range | WORD_SINGLE |
	       (range->mode == RANGE_WRITE ? WORD_WRITER : 0);
}

/* Whether [start, end) lies in the leaf. Without its lock, see [B]. */
static inline bool range__leaf_covers(struct range__leaf *leaf, uint64_t start, uint64_t end)
{
	return atomic_load_explicit(&leaf->lo, memory_order_relaxed) <= start &&
	       end <= atomic_load_explicit(&leaf->hi, memory_order_relaxed);
}

/* Whether the leaf, which is locked, has nothing in it. */
static inline bool range__leaf_vacant(const struct range__leaf *leaf)
{
	return !leaf->held && !leaf->wait_first;
}

/* Makes an unlocked, empty leaf that covers nothing, of the given memory. */
void range__leaf_init(struct range__leaf *leaf);

/*
 * Two counts for range_lock_stats(), which loads them without the leaf's lock: how often the leaf
 * became biased or ceased to be, and how many acquisitions were queued in it. Written under the
 * leaf's lock. They stay with the leaf's memory, also when its keys go to another leaf.
 */
static inline bool range__leaf_biased(const struct range__leaf *leaf)
{
	/* relaxed: under the leaf's lock */
	return atomic_load_explicit(&leaf->bias, memory_order_relaxed) % 2 != 0;
}

static inline void range__leaf_turn_bias(struct range__leaf *leaf)
{
	/* relaxed: a count; the word says the rest */
	uint32_t bias = atomic_load_explicit(&leaf->bias, memory_order_relaxed);

	atomic_store_explicit(&leaf->bias, bias + 1, memory_order_relaxed);
}

static inline void range__leaf_count_wait(struct range__leaf *leaf)
{
	/* relaxed: only this thread writes it now */
	uint64_t waits = atomic_load_explicit(&leaf->waits, memory_order_relaxed);

	/* release: pairs with the acquire in add_counts() of forest.c */
	atomic_store_explicit(&leaf->waits, waits + 1, memory_order_release);
}

/*
 * Spins, then parks. If the leaf is biased it stays so: for acquisitions and releases of readers.
 */
void range__leaf_lock_reader(struct range__leaf *leaf);

/* The same; but afterwards the leaf is not biased, and all that is held in it is in the tree. */
void range__leaf_lock(struct range__leaf *leaf);

/* Unlocks, with what is in the leaf now; then wakes whom wakes names (may be NULL). */
void range__leaf_unlock(struct range__leaf *leaf, const struct range__wakes *wakes);

/* With the leaf locked: whether range must wait. It may be a newcomer or in the queue. */
bool range__leaf_blocks(struct range__leaf *leaf, const struct range_hold *range);

/*
 * With the leaf locked: whether a range held for reading may be held for writing: nothing else
 * overlaps it, and no reader that is starving waits for a part of it. Writers that wait for it are
 * not hurt.
 */
bool range__leaf_upgradable(struct range__leaf *leaf, const struct range_hold *range);

/* With the leaf locked: makes a newcomer held, and unlocks. */
void range__leaf_hold_and_unlock(struct range__leaf *leaf, struct range_hold *range);

/* With the leaf locked: puts a newcomer at the end of the queue. */
void range__leaf_enqueue(struct range__leaf *leaf, struct range_hold *range);

/* With the leaf locked: takes a range out of the queue. */
void range__leaf_dequeue(struct range__leaf *leaf, struct range_hold *range);

/* With the leaf locked: makes a range of the queue that has been woken wait again. */
void range__leaf_wait_again(struct range__leaf *leaf, struct range_hold *range);

/*
 * With the leaf locked, after a range [start, end) was released, or stopped holding waiters back:
 * wakes, in the order of arrival, those of the waiters it overlaps that need not wait any longer.
 */
void range__leaf_wake(struct range__leaf *leaf, uint64_t start, uint64_t end,
		      struct range__wakes *wakes);

/*
 * With the leaf locked, when something in it was released or a waiter was passed: makes one waiter
 * starving, the first that is neither starving nor behind one that is, if it has waited for bound
 * nanoseconds, and the last promotion in this leaf was that long ago. Whose range was released does
 * not matter: only so do no more than those before it come before it. Returns it, or NULL.
 */
struct range_hold *range__leaf_promote(struct range__leaf *leaf, uint64_t bound);

/*
 * With both leaves locked, adjacent, and left before right: moves everything and the bounds from
 * one into the other. The one that is left empty-handed covers nothing afterwards: it begins and
 * ends where it began.
 */
void range__leaf_absorb(struct range__leaf *to, struct range__leaf *from);

/* With both leaves locked: moves what lies at or above point, which no range crosses, to right,
 * which is vacant. */
void range__leaf_split(struct range__leaf *leaf, uint64_t point, struct range__leaf *right);

/* With the leaf locked: whether a range, held or waiting, has point inside, neither its start nor
 * its end. */
bool range__leaf_crossed(struct range__leaf *leaf, uint64_t point);

/* With the leaf locked: every invariant of what is in it. For tests and the checked build. */
bool range__leaf_valid(struct range__leaf *leaf);

#endif
