/* SPDX-License-Identifier: MIT */
/*
 * slots - where readers publish their ranges without a write to anything that is shared.
 *
 * A leaf that many readers come to becomes biased: its word says BIASED(generation). Then a reader
 * is in when it has published its range in a slot, on a cache line of its own thread, and has seen
 * that the word is still the same. A range that spans two biased leaves is published once, and then
 * both words are looked at. A thread that is not a reader and locks the leaf ends the bias first: it
 * looks through all slots, and records those readers in its leaf that overlap it; they have been
 * adopted there, and are released there like all others. A reader on [0, 1) never delays a writer of
 * [2, 3): what is adopted is the exact range.
 *
 * A thread has a group of slots to itself, from its first need until its end; which group that is
 * does not matter. A thread without one, or with more ranges than slots, locks the leaf. Other threads
 * may release what it has published.
 *
 * A slot's state is a version and one of
 *
 *	FREE      the owner of the group may use it
 *	IN        its range is held, if the words were seen to be unchanged afterwards
 *	LEAVING   its range is not held through the slot any more
 *
 * FREE -> IN is by the owner of the group; IN -> LEAVING -> FREE, of the next version, by the thread
 * that releases the range. A thread that adopts never writes to a slot.
 *
 * Invariants:
 *
 *	S1  a leaf that is biased has no writers and no queue: what is recorded in it are readers
 *	S2  a reader that has seen the word unchanged after publishing is adopted before the leaf's
 *	    bounds change, before a writer is granted anything in it, and before a thread looks for a
 *	    conflict in it
 *	S3  a range is adopted once at most in each leaf, and while its owner cannot have gone on: the
 *	    thread that adopts has the leaf locked, has seen IN after the fence of [H], and so the
 *	    range's owner will see the word changed, if it has not yet, and lock that leaf before it
 *	    returns
 *	S4  while a range is in a slot its bounds do not change: what changes them takes it out
 *	    first
 *	S5  a range in a slot overlaps two leaves at most, as they were when it was published, and the
 *	    words that it remembers are of those two. So in each of them it has a node
 *
 * Ordering:
 *
 *	[P] publish: state = IN (release); fence [L]; load the words: as before?
 *	[Q] leave:   state = LEAVING (release); fence [L]; load the words: as before?
 *	[H] adopt:   the word is LOCKED; fence [H]; load the states (acquire)
 *
 *	[L] with [H]: either the load of the word in [P] or [Q] sees the change, or [H] sees the
 *	    state. [L] is for the many and [H] for the few, so where the system can do that
 *	    (membarrier), [L] costs nothing, and [H] makes all other threads pass a fence. One [H]
 *	    serves all leaves that are LOCKED before it
 *	IN (release) -> adopt (acquire): the range's fields
 *	LEAVING, FREE (release) -> publish, adopt (acquire): what was done under the range, before
 *	    what is done under the next one
 *	the slot's other fields are release stores and acquire loads: a thread that sees a newer one
 *	    than the state says sees a newer state, too, when it loads that again
 *	a word that is BIASED was made so by [U2] of leaf.h, later than any writer's release: the
 *	    first load of it (acquire) orders
 *
 * A generation is biased once: a word that is the same has not been anything else in between, but
 * LOCKED by a reader that adopted none.
 *
 * (Readers that publish, and writers that revoke: Dice & Kogan, "BRAVO - Biased Locking for
 * Reader-Writer Locks", USENIX ATC 2019. Adoption and exact ranges are not in it.)
 */
#ifndef RANGE_LOCK_SLOTS_H
#define RANGE_LOCK_SLOTS_H

#include "platform/platform.h"
#include "set.h"

struct range__slot {
	_Atomic(uint64_t) state;
	_Atomic(uint64_t) start;
	_Atomic(uint64_t) end;
	_Atomic(const struct range__lock *) lock;
	_Atomic(struct range__hold *) range;
};

/* With the version above: FREE of the next one is one more than LEAVING. */
#define SLOT_TAG     UINT64_C(3)
#define SLOT_FREE    UINT64_C(0)
#define SLOT_IN      UINT64_C(2)
#define SLOT_LEAVING UINT64_C(3)

enum { RANGE__GROUP_SLOTS = 3 };

/* On two lines, which some processors fetch together. */
struct range__slots {
	_Alignas(128) struct range__slot slot[RANGE__GROUP_SLOTS];
	atomic_bool taken;
	_Atomic(uint64_t)
		owner; /* of what is in the slots: mmrange__self() of the group's thread */
};

/* For threads that have not needed slots yet, and for those that can have none: never free. */
extern MMRANGE__LOCAL struct range__slots range__slots_not_yet, range__slots_none;

/* The calling thread's, or one of these. */
extern MMRANGE__LOCAL MMRANGE__THREAD_LOCAL struct range__slots *range__slots_own;

/*
 * For a thread that has not needed slots yet: its slots from now on, or some that are never free.
 */
struct range__slots *range__slots_take(void);

/* A slot that the calling thread may use, or NULL. */
static inline struct range__slot *range__slot_find(void)
{
	struct range__slots *own = range__slots_own;

	if (own == &range__slots_not_yet)
		own = range__slots_take();
	for (int i = 0; i < RANGE__GROUP_SLOTS; i++)
		/* acquire: pairs with the release in range__slot_free() */
		if ((atomic_load_explicit(&own->slot[i].state, memory_order_acquire) & SLOT_TAG) ==
		    SLOT_FREE)
			return &own->slot[i];
	return NULL;
}

/* Publishes [start, end) of a range in a slot that is FREE, as state says. */
static inline void range__slot_fill(struct range__slot *slot, uint64_t state,
				    struct range__lock *lock, struct range__hold *range,
				    uint64_t start, uint64_t end)
{
	range->slot = slot;
	atomic_store_explicit(&slot->start, start, memory_order_release);
	atomic_store_explicit(&slot->end, end, memory_order_release);
	atomic_store_explicit(&slot->lock, lock, memory_order_release);
	atomic_store_explicit(&slot->range, range, memory_order_release);
	atomic_store_explicit(&slot->state, state | SLOT_IN, memory_order_release); /* [P] */
}

/*
 * Publishes a range whose fields are set, leaf and stamp being the leaves and the words that were
 * seen. False: there is no free slot.
 */
static inline bool range__slot_publish(struct range__lock *lock, struct range__hold *range)
{
	struct range__slot *slot = range__slot_find();
	uint64_t state;

	if (!slot)
		return false;
	/* relaxed: only this thread changes a state that is FREE */
	state = atomic_load_explicit(&slot->state, memory_order_relaxed);
	range->how |= RANGE__SLOT;
	range__nodes_init(range);
	range__slot_fill(slot, state, lock, range, range->start, range->end);
	return true;
}

/*
 * Says that a published range is not held through its slot any more. Returns what to free it with.
 */
static inline uint64_t range__slot_leave(struct range__slot *slot)
{
	/* relaxed: nobody else writes it */
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed) | SLOT_LEAVING;

	atomic_store_explicit(&slot->state, state, memory_order_release); /* [Q] */
	return state + 1;
}

static inline void range__slot_free(struct range__slot *slot, uint64_t next)
{
	atomic_store_explicit(&slot->state, next, memory_order_release);
}

/*
 * After a range was published or left: whether only readers have locked the leaf since its word was
 * loaded. Otherwise the range may have been adopted there.
 */
static inline bool range__slot_sees(struct range__leaf *leaf, uint64_t word)
{
	/* relaxed: if it is unchanged, the first load of it has acquired */
	return atomic_load_explicit(&leaf->word, memory_order_relaxed) == word;
}

static inline bool range__slot_undisturbed(const struct range__hold *range, unsigned int which)
{
	return range__slot_sees(range->leaf[which], range->saved_word[which]);
}

/* With all leaves locked and not biased: a range that is held leaves its slot, if it has one. */
void range__slot_vacate(struct range__hold *range);

/*
 * When nothing is held in the lock any more: returns when those who released it through slots do
 * not look at its leaves any more.
 */
void range__slots_drain(const struct range__lock *lock);

/*
 * With all leaves of a set locked, after [SLOT-H], and while those to be revoked still count as biased: records
 * all readers in them that are in slots.
 */
void range__slots_adopt(struct range__set *set);

/* In the child of fork(), before the lock's memory is freed: nothing in a slot is held in it. */
void range__slots_forget(const struct range__lock *lock);


#endif
