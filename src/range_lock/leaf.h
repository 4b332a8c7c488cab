/* SPDX-License-Identifier: MIT */
/*
 * leaf - one part [lo, hi) of the key space: its lock word, the ranges held in it, and the queue of
 * the acquisitions that wait for it.
 *
 * A held range is recorded in each leaf that it overlaps. Its first leaf has its node 0 and its
 * last leaf its node 1, both in the leaf's interval tree. A leaf in between lies inside the range
 * and only counts it. Which of the three a leaf is to a range follows from the bounds of both: see
 * range__leaf_record().
 *
 * The lock word says what is in the leaf:
 *
 *	EMPTY(generation)   no range is held; with WAITERS, acquisitions wait
 *	SINGLE(range)       one range is held, and not recorded yet
 *	TREE                unlocked; ranges are recorded, wait, or claim
 *	BIASED(generation)  unlocked; readers may hold ranges that only their slots know: see
 *	                    slots.h
 *	LOCKED              a thread works on the leaf; with SLEEPERS, threads may be parked on the
 *	                    word
 *
 * Which thread may change the word:
 *
 *	EMPTY -> SINGLE       a thread that acquires a range inside the leaf; or a range that spans
 *	                      the leaf and the one before, with that one LOCKED
 *	SINGLE -> EMPTY       the thread that releases the range: back to the word that it replaced
 *	any -> LOCKED         any thread, by range__leaf_lock(), unless the word is LOCKED. Out of
 *	                      SINGLE, the thread records the range. Out of BIASED, the leaf stays
 *	                      biased until the thread revokes the bias (bias.h)
 *	LOCKED -> any         the thread that locked it, by range__leaf_unlock()
 *	LOCKED -> + SLEEPERS  any thread, which then may park on the word. It is legal to set
 *	                      SLEEPERS and not to park; that costs a needless wake-up
 *
 * EMPTY with WAITERS lets newcomers pass waiters by the fast path, where more threads than cores
 * collide all the time. It is legal only while some waiter is WOKEN and no waiter is starving or
 * claims. Every other waiter then depends on a woken waiter (waiters.c), so a release has none to
 * wake.
 *
 * Invariants:
 *
 *	LEAF-R1  A held range is recorded in each leaf that it overlaps, or is in that leaf's word,
 *	         or in a slot (slots.h). A waiter is in the queue of one leaf, which it overlaps.
 *	LEAF-R2  The bounds change only while the word is LOCKED, and the generation with them. No
 *	         range that is recorded, queued or claimed crosses a bound that appears or
 *	         disappears.
 *	LEAF-R3  The memory of a leaf stays a leaf of its lock until the lock is destroyed.
 *	LEAF-R5  After a thread has unlocked the word, it touches no memory of a waiter, whose
 *	         thread may have gone on. To unpark a waiter it uses the waiter's address alone.
 *
 * By LEAF-R2, what a leaf is to a range that is recorded in it stays the same while the bounds
 * change.
 *
 * Two ranges that overlap each other and a leaf also overlap inside that leaf: intervals of a line
 * that meet in pairs meet in a point (Helly). So a leaf can decide about conflicts by the whole
 * ranges, and the parts that lie outside do not matter.
 *
 * Ordering: the word carries all of it. Every other field of a leaf is plain and protected by
 *           LOCKED, or relaxed.
 *
 *	[LEAF-A1]  EMPTY -> SINGLE: acquires from the U1 and U2 of earlier holders; releases the
 *	           range's fields to the thread that finds the range in the word, A2
 *	[LEAF-A2]  any -> LOCKED: acquires from A1 (the range's fields), U1 and U2
 *	[LEAF-U1]  SINGLE -> EMPTY: releases to A1 and A2
 *	[LEAF-U2]  LOCKED -> any: releases to A1 and A2; if it makes the word SINGLE, as A1
 *	[LEAF-C]   state -> CANCELED, DEADLOCKED: a release by the thread that took the acquisition
 *	           out of its queue, and that thread's last access to it. Pairs with the acquire in
 *	           wait.c, after which the waiter may be gone
 *	[LEAF-B]   The bounds are loaded after an acquire load of the word. They may be newer than
 *	           that word. Then the generation is newer, too, and the swap that relies on the
 *	           word fails. So does the second look of a reader that publishes, because the fence
 *	           SLOT-H comes before the bounds change
 */
#ifndef RANGE_LOCK_LEAF_H
#define RANGE_LOCK_LEAF_H

#include "interval_tree.h"

#include <stdatomic.h>

/*
 * Kinds, in the two low bits, and one mark whose meaning depends on the kind; a struct range__hold
 * is aligned to 8. The low 32 bits of a LOCKED word differ from those of every other word, so that
 * threads can park on it.
 */
#define WORD_TAG              UINT64_C(3)
#define WORD_EMPTY            UINT64_C(0)
#define WORD_SINGLE           UINT64_C(1)
#define WORD_TREE             UINT64_C(2)
#define WORD_LOCKED           UINT64_C(3)
#define WORD_MARK             UINT64_C(4)
#define WORD_EMPTY_WAITERS    WORD_MARK
#define WORD_SINGLE_WRITER    WORD_MARK
#define WORD_TREE_BIASED      WORD_MARK
#define WORD_LOCKED_SLEEPERS  WORD_MARK
#define WORD_GENERATION_SHIFT 3

/* In covers: the leaf lies inside a writer's range. Otherwise covers counts such readers. */
#define RANGE__COVERS_WRITER UINT32_MAX

/*
 * The state of a waiter. Threads write it under the leaf's lock; the waiter reads it without. A
 * waiter that is CANCELED or DEADLOCKED is in no queue any more, see [LEAF-C]. LOOKS is for the
 * checked build: the waiter waits as in WAITING, but has to search for a cycle before it parks
 * again, and makes the state WAITING by a compare-and-swap, see deadlock.c.
 */
enum {
	RANGE_WAITING,
	RANGE_WOKEN,
	RANGE_PROMOTED, /* woken to make a claim: see claim.h */
	RANGE_CANCELED,
	RANGE_DEADLOCKED,
	RANGE_LOOKS
};

_Static_assert(_Alignof(struct range__hold) % 8 == 0, "the low bits of the address are tags");
_Static_assert(sizeof(struct range__leaf) <= 128, "two lines, of which the fast path uses one");

/*
 * Waiters to unpark after the leaves are unlocked. A caller sets only n first: to clear all is
 * slow.
 */
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
	return generation << WORD_GENERATION_SHIFT | WORD_TREE_BIASED | WORD_TREE;
}

static inline bool range__word_biased(uint64_t word)
{
	return (word & (WORD_TAG | WORD_TREE_BIASED)) == (WORD_TREE | WORD_TREE_BIASED);
}

static inline uint64_t range__word_single(const struct range__hold *range, enum range_mode mode)
{
	return (uint64_t)(uintptr_t)range | WORD_SINGLE |
	       (mode == RANGE_WRITE ? WORD_SINGLE_WRITER : 0);
}

/* The bounds. relaxed: under the leaf's lock, or a hint, see [LEAF-B]. */
static inline uint64_t range__leaf_lo(struct range__leaf *leaf)
{
	return atomic_load_explicit(&leaf->lo, memory_order_relaxed);
}

static inline uint64_t range__leaf_hi(struct range__leaf *leaf)
{
	return ~atomic_load_explicit(&leaf->not_hi, memory_order_relaxed);
}

/* Whether [start, end) lies in the leaf. */
static inline bool range__leaf_covers(struct range__leaf *leaf, uint64_t start, uint64_t end)
{
	return range__leaf_lo(leaf) <= start && end <= range__leaf_hi(leaf);
}

static inline bool range__leaf_has(struct range__leaf *leaf, uint64_t key)
{
	return range__leaf_lo(leaf) <= key && key < range__leaf_hi(leaf);
}

/* The leaf that begins where this one ends; NULL after the last. Without the lock, a hint. */
static inline struct range__leaf *range__leaf_right(struct range__leaf *leaf)
{
	/* acquire: pairs with the release in range__leaf_set_right(): the leaf has been made */
	return atomic_load_explicit(&leaf->right, memory_order_acquire);
}

static inline void range__leaf_set_right(struct range__leaf *leaf, struct range__leaf *right)
{
	atomic_store_explicit(&leaf->right, right, memory_order_release);
}

static inline uint64_t range__leaf_generation(struct range__leaf *leaf)
{
	/* relaxed: under the leaf's lock */
	return atomic_load_explicit(&leaf->generation, memory_order_relaxed);
}

static inline void range__leaf_next_generation(struct range__leaf *leaf)
{
	atomic_store_explicit(&leaf->generation, range__leaf_generation(leaf) + 1,
			      memory_order_relaxed);
}

/* With the leaf locked: whether no range is held, waits or claims in it. */
static inline bool range__leaf_vacant(const struct range__leaf *leaf)
{
	return !leaf->held && leaf->covers == 0 && !leaf->waiters && !leaf->wide &&
	       leaf->nr_claims == 0;
}

/* Makes an unlocked, empty leaf of the given memory, which owns no keys. */
void range__leaf_init(struct range__leaf *leaf);

/*
 * How many acquisitions were queued in the leaf, for range_lock_stats(), which loads the count
 * without the leaf's lock. It stays with the leaf's memory, also when the leaf's keys go to another
 * leaf.
 */
static inline void range__leaf_count_wait(struct range__leaf *leaf)
{
	/* relaxed: only this thread writes it now */
	uint64_t waits = atomic_load_explicit(&leaf->waits, memory_order_relaxed);

	/* release: pairs with the acquire in add_waits() of forest.c */
	atomic_store_explicit(&leaf->waits, waits + 1, memory_order_release);
}

/* Spins, then parks. A biased leaf stays biased. */
void range__leaf_lock(struct range__leaf *leaf);

/* Locks the leaf unless that needs waiting. */
bool range__leaf_trylock(struct range__leaf *leaf);

/* Locks the leaf if its word is TREE and the range lies inside its bounds. */
bool range__leaf_lock_tree(struct range__leaf *leaf, const struct range__hold *range);

/*
 * Unlocks the leaf, with a word that says what is in it; then unparks the waiters in wakes, or
 * NULL.
 */
void range__leaf_unlock(struct range__leaf *leaf, const struct range__wakes *wakes);

/* Unlocks the leaf with this word. */
void range__leaf_unlock_to(struct range__leaf *leaf, uint64_t word);

/* Unparks waiters, after the leaves were unlocked. */
void range__wake_all(const struct range__wakes *wakes);

/* With the leaf locked, which a held range overlaps and in which it is not recorded: records it. */
void range__leaf_record(struct range__leaf *leaf, struct range__hold *range);

/* The opposite of range__leaf_record(). */
void range__leaf_erase(struct range__leaf *leaf, struct range__hold *range);

/* With the leaf locked: the range's node in it; NULL: the leaf lies between the range's ends. */
struct range__node *range__leaf_node(struct range__leaf *leaf, struct range__hold *range);

/*
 * With the leaf locked, which the range overlaps: makes the range held there, and unlocks the leaf.
 * A range that is alone goes into the word, from which one step can release it.
 */
void range__leaf_hold_and_unlock(struct range__leaf *leaf, struct range__hold *range);

static inline bool range__conflict(const struct range__hold *a, const struct range__hold *b)
{
	return (a->mode == RANGE_WRITE || b->mode == RANGE_WRITE) &&
	       range__overlap(a, b->start, b->end);
}

/* The same for held ranges alone, other than the range itself. */
bool range__leaf_holds_conflict(struct range__leaf *leaf, const struct range__hold *range);

#endif
