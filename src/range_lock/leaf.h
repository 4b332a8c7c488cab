/* SPDX-License-Identifier: MIT */
/*
 * leaf - one part [lo, hi) of the key space: its lock word, the ranges held in it, and the queue of
 * the acquisitions that wait for it.
 *
 * A range is recorded in each leaf that it overlaps: in the first by its node 0 and in the last by its
 * node 1, both in the leaf's interval tree; a leaf between covers nothing else of it, and counts it.
 * Which of these a leaf is to a range follows from the bounds of both: see range__leaf_record().
 *
 * The lock word says what is in the leaf:
 *
 *	EMPTY(generation)  nothing is held; with WAITERS, acquisitions wait
 *	SINGLE(range)      one range is held, and not recorded yet; the word is otherwise as before
 *	TREE               unlocked, something is recorded, waits, or claims
 *	BIASED(generation) unlocked, and readers may be in without a trace here: see slots.h
 *	LOCKED             a thread works on the leaf; with SLEEPERS, others may be parked on the
 *	                   word
 *
 * Which thread may do what:
 *
 *	EMPTY -> SINGLE       any whose range lies within lo and hi, or one that spans the leaf and
 *	                      the one before, and has that one LOCKED: an acquisition, in one step
 *	SINGLE -> EMPTY       the thread that releases that range, in one step, back to the word that
 *	                      it replaced
 *	any -> LOCKED         any, by range__leaf_lock(), if it is not LOCKED; out of SINGLE it
 *	                      records the range. Out of BIASED the leaf stays biased until the thread
 *	                      revokes that, see span.h
 *	LOCKED -> any         the thread that locked it, by range__leaf_unlock()
 *	LOCKED -> + SLEEPERS  any, to park afterwards, or by an exchange that came too late: it
 *	                      is legal to set it and not to park; that costs a needless wake-up
 *
 * EMPTY with WAITERS is for newcomers that pass waiters, which is when there are more threads than
 * cores and they collide all the time. It needs that some waiter is WOKEN, and that none is starving
 * or claims: then all others have a woken one as their cause (see leaf.c), so that a release has
 * none to wake.
 *
 * Invariants:
 *
 *	R1  a held range is recorded in each leaf that it overlaps, or is in the word of it, or in a
 *	    slot (slots.h). A waiter is in the queue of one leaf, which it overlaps
 *	R2  the bounds change only while the word is LOCKED, and the generation with them; nothing that
 *	    is recorded, queued or claimed crosses a bound that comes or goes
 *	R5  nothing that is touched after the word is unlocked belongs to a waiter, whose thread may
 *	    have gone on: waking uses its address alone
 *
 * By R2, what a leaf is to a range that is recorded in it stays as it is while the bounds change.
 *
 * Two ranges that overlap, and that both overlap a leaf, overlap inside that leaf: intervals of a line
 * that meet in pairs meet in a point (Helly). So what conflicts is decided in a leaf by the whole
 * ranges, and what of them lies outside does not matter.
 *
 * Ordering: the word carries all of it. Everything else in a leaf is plain and under LOCKED, or
 *           relaxed.
 *
 *	[A1] EMPTY -> SINGLE: acquire, from [U1] or [U2] of those who were here before; release, of
 *	     the range's fields to the thread that finds it in the word, [A2]
 *	[A2] any -> LOCKED: acquire, from [A1] (the range's fields), [U1] and [U2]
 *	[U1] SINGLE -> EMPTY: release, to [A1] and [A2]
 *	[U2] LOCKED -> any: release, to [A1] and [A2]; when it makes the word SINGLE, as [A1]
 *	[C]  state -> CANCELED, DEADLOCKED: release, by the thread that took the acquisition out of its
 *	     queue, as the last touch of it; pairs with the acquire in wait.c, after which the waiter
 *	     may be gone
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
 * Tags in the low bits; a struct range__hold is aligned to 8. The low 32 bits of a LOCKED word are like
 * those of no other word, so that threads can be parked on it.
 */
#define WORD_TAG              UINT64_C(3)
#define WORD_EMPTY            UINT64_C(0)
#define WORD_SINGLE           UINT64_C(1)
#define WORD_TREE             UINT64_C(2)
#define WORD_LOCKED           UINT64_C(3)
#define WORD_EMPTY_WAITERS          UINT64_C(4) /* with EMPTY */
#define WORD_SINGLE_WRITER           UINT64_C(4) /* with SINGLE */
#define WORD_LOCKED_SLEEPERS         UINT64_C(4) /* with LOCKED */
#define WORD_TREE_BIASED           UINT64_C(4) /* with TREE */
#define WORD_GENERATION_SHIFT 3

/* What covers says of a leaf that a writer covers; otherwise it is how many readers do. */
#define RANGE__COVERS_WRITER UINT32_MAX

/*
 * What struct range__hold's state says of a waiter. Written under the leaf's lock; the waiter itself
 * reads it without. After CANCELED and DEADLOCKED it is in no queue any more, see [C]. LOOKS is
 * for the checked build: the range waits as in WAITING, but its thread has something to do before
 * it parks again, and makes it WAITING by a compare-and-swap, see deadlock.c.
 */
enum { RANGE_WAITING, RANGE_WOKEN, RANGE_CANCELED, RANGE_DEADLOCKED, RANGE_LOOKS };

_Static_assert(_Alignof(struct range__hold) % 8 == 0, "the low bits of the address are tags");
_Static_assert(sizeof(struct range__leaf) <= 128, "two lines, of which the fast path uses one");

/* Waiters to be woken after the leaves are unlocked. Only n is to be set first: to clear all costs. */
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
	return (uint64_t)(uintptr_t)range | WORD_SINGLE | (mode == RANGE_WRITE ? WORD_SINGLE_WRITER : 0);
}

/* The bounds. relaxed: under the leaf's lock, or a hint, see [B]. */
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

/* Whether the leaf, which is locked, has nothing in it. */
static inline bool range__leaf_vacant(const struct range__leaf *leaf)
{
	return !leaf->held && leaf->covers == 0 && !leaf->waiters && !leaf->wide &&
	       leaf->nr_claims == 0;
}

/* Makes an unlocked, empty leaf that covers nothing, of the given memory. */
void range__leaf_init(struct range__leaf *leaf);

/*
 * How many acquisitions were queued in the leaf, for range_lock_stats(), which loads the count without the
 * leaf's lock. It stays with the leaf's memory, also when the leaf's keys go to another leaf.
 */
static inline void range__leaf_count_wait(struct range__leaf *leaf)
{
	/* relaxed: only this thread writes it now */
	uint64_t waits = atomic_load_explicit(&leaf->waits, memory_order_relaxed);

	/* release: pairs with the acquire in add_waits() of forest.c */
	atomic_store_explicit(&leaf->waits, waits + 1, memory_order_release);
}

/* Spins, then parks. If the leaf is biased it stays so. */
void range__leaf_lock(struct range__leaf *leaf);

/* The same if that needs no waiting. */
bool range__leaf_trylock(struct range__leaf *leaf);

/* The same if the leaf has the range within its bounds, and more in it than one range in its word. */
bool range__leaf_lock_tree(struct range__leaf *leaf, const struct range__hold *range);

/* Unlocks, with what is in the leaf now; then wakes those that wakes names (may be NULL). */
void range__leaf_unlock(struct range__leaf *leaf, const struct range__wakes *wakes);

/* Unlocks with a word that says what is in the leaf. */
void range__leaf_unlock_to(struct range__leaf *leaf, uint64_t word);

/* After the leaves were unlocked. */
void range__wake_all(const struct range__wakes *wakes);

/* With the leaf locked that a held range overlaps: records it there. Not twice. */
void range__leaf_record(struct range__leaf *leaf, struct range__hold *range);

/* The opposite. */
void range__leaf_erase(struct range__leaf *leaf, struct range__hold *range);

/* The range's node in the leaf, which is locked; NULL: the leaf lies between its ends. */
struct range__node *range__leaf_node(struct range__leaf *leaf, struct range__hold *range);

/*
 * With the leaf locked, which range overlaps and in which it is in no slot: makes it held there, and
 * unlocks. If it is alone it is in the word, which can be released in one step.
 */
void range__leaf_hold_and_unlock(struct range__leaf *leaf, struct range__hold *range);

/*
 * Whether a came before b; newcomers have UINT64_MAX as their arrival. Clocks tell two threads the same
 * time: then all ranges of one acquisition come before all of the other, or two acquisitions of
 * several ranges could wait for each other.
 */
static inline bool range__earlier(const struct range__hold *a, const struct range__hold *b)
{
	return a->arrival < b->arrival || (a->arrival == b->arrival && a->set < b->set);
}

static inline bool range__conflict(const struct range__hold *a, const struct range__hold *b)
{
	return (a->mode == RANGE_WRITE || b->mode == RANGE_WRITE) &&
	       range__overlap(a, b->start, b->end);
}

/*
 * With the leaf locked, which range overlaps: whether range must wait, in this leaf. It is a waiter,
 * or a newcomer.
 */
bool range__leaf_blocks(struct range__lock *lock, struct range__leaf *leaf,
			const struct range__hold *range);

/* The same for what is held alone, and other than range itself. */
bool range__leaf_holds_conflict(struct range__leaf *leaf, const struct range__hold *range);

/*
 * With the leaf locked: whether a range held for reading may be held for writing, in this leaf:
 * nothing else overlaps it, and no reader that is starving waits for a part of it. Writers that wait
 * for it are not hurt.
 */
bool range__leaf_upgradable(struct range__lock *lock, struct range__leaf *leaf,
			    const struct range__hold *range);

/* With the leaf locked: puts a waiter into the queue, by its arrival. */
void range__leaf_enqueue(struct range__leaf *leaf, struct range__hold *range);

/* With the leaf locked: takes a range out of the queue. */
void range__leaf_dequeue(struct range__leaf *leaf, struct range__hold *range);

/* With the leaf locked: the waiter after w; NULL after the last. */
static inline struct range__hold *range__leaf_next(const struct range__leaf *leaf,
						   const struct range__hold *w)
{
	return w->next == leaf->waiters ? NULL : w->next;
}

/* With the leaf locked: makes a range of the queue that has been woken wait again. */
void range__leaf_wait_again(struct range__leaf *leaf, struct range__hold *range);

/* With the leaf locked: a waiter of its queue that lies in it becomes starving. */
void range__leaf_starve(struct range__leaf *leaf, struct range__hold *range);

/*
 * With the leaf locked, after a range [start, end) was released, or stopped holding waiters back:
 * wakes, in the order of arrival, those of the waiters it overlaps that need not wait any longer.
 */
void range__leaf_wake(struct range__lock *lock, struct range__leaf *leaf, uint64_t start,
		      uint64_t end, struct range__wakes *wakes);

/*
 * With the leaf locked, when something in it was released or a waiter was passed: makes one waiter
 * starving, the first that is neither starving nor behind one that is, if it has waited for bound
 * nanoseconds, and the last promotion in this leaf was that long ago. Which range was released does
 * not matter: only so do no more than those before it come before it. Returns it, or NULL. A waiter
 * that does not lie in this leaf alone is woken instead, to make a claim: see claim.h.
 */
struct range__hold *range__leaf_promote(struct range__lock *lock, struct range__leaf *leaf,
					uint64_t bound, struct range__wakes *wakes);

/*
 * With both leaves locked: moves what lies at or above point to right, which is vacant. Nothing
 * crosses point; or point is lo, and everything moves.
 */
void range__leaf_split(struct range__leaf *leaf, uint64_t point, struct range__leaf *right);

/*
 * With both leaves locked: takes the keys of right, which comes next and is vacant. It covers nothing
 * afterwards.
 */
void range__leaf_absorb(struct range__leaf *leaf, struct range__leaf *right);

/* With the leaf locked: whether a range, held, waiting or claiming, has point inside, neither its
 * start nor its end. It may say so if there is none. */
bool range__leaf_crossed(struct range__leaf *leaf, uint64_t point);

/* With the leaf locked: every invariant of what is in it. For tests and the checked build. */
bool range__leaf_valid(struct range__lock *lock, struct range__leaf *leaf);

#endif
