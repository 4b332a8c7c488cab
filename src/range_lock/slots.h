/* SPDX-License-Identifier: MIT */
/*
 * slots - where readers publish their ranges without a write to anything that is shared.
 *
 * A leaf that many readers come to becomes biased: its word says BIASED(generation). Then a reader
 * is in when it has published its range in a slot, on a cache line of its own thread, and has seen
 * that the word is still the same. Whoever is not a reader and locks the leaf ends the bias first:
 * it looks through all slots, and takes those readers that are in its leaf into the tree of held
 * ranges; they have been adopted, and are released like all others. A reader on [0, 1) never delays
 * a writer of [2, 3): what is adopted is the exact range.
 *
 * A thread has a group of slots to itself, from its first need until its end; which group that is
 * does not matter, and there are only so many: a thread without one, or with more ranges than
 * slots, locks the leaf. Other threads may release what it has published.
 *
 * A slot's state is a version and one of
 *
 *	FREE      the owner of the group may use it
 *	IN        its range is held, if the leaf's word was seen to be unchanged afterwards
 *	LEAVING   its range is not held through the slot any more
 *
 * FREE -> IN is by the owner of the group; IN -> LEAVING -> FREE, of the next version, by whoever
 * releases the range. Whoever adopts never writes to a slot.
 *
 * Invariants:
 *
 *	S1  a leaf that is biased has no writers and no queue: its tree holds readers
 *	S2  a reader that has seen the word unchanged after publishing is adopted before the leaf's
 *	    bounds change, before a writer is granted anything in it, and before anybody looks for a
 *	    conflict in it
 *	S3  a struct range_hold is adopted once at most, and while its owner cannot have gone on: who
 *	    adopts has the leaf locked that holds it, has seen IN after the fence of [H], and so its
 *	    owner will see the word changed, if it has not yet, and lock that leaf before it returns
 *	S4  while a range is in a slot its bounds do not change: what changes them takes it out
 *	    first
 *
 * Ordering:
 *
 *	[P] publish: state = IN (release); fence [L]; load the word: as before?
 *	[Q] leave:   state = LEAVING (release); fence [L]; load the word: as before?
 *	[H] adopt:   the word is LOCKED; fence [H]; load the states (acquire)
 *
 *	[L] with [H]: either the load of the word in [P] or [Q] sees the change, or [H] sees the
 *	    state. [L] is for the many and [H] for the few, so where the system can do that
 *	    (membarrier), [L] costs nothing, and [H] makes all other threads pass a fence
 *	IN (release) -> adopt (acquire): the range's fields
 *	LEAVING, FREE (release) -> publish, adopt (acquire): what was done under the range, before
 *	    what is done under the next one
 *	the slot's other fields are release stores and acquire loads: who sees a newer one than the
 *	    state says sees a newer state, too, when it loads that again
 *	a word that is BIASED was made so by [U2] of leaf.h, later than any writer's release: the
 *	    first load of it (acquire) orders
 *
 * A generation is biased once: a word that is the same has not been anything else in between, but
 * LOCKED by a reader that adopted nobody.
 *
 * (Readers that publish, and writers that revoke: Dice & Kogan, "BRAVO - Biased Locking for
 * Reader-Writer Locks", USENIX ATC 2019. Adoption and exact ranges are not in it.)
 */
#ifndef RANGE_LOCK_SLOTS_H
#define RANGE_LOCK_SLOTS_H

#include "leaf.h"
#include "platform/platform.h"

/* What an acquisition for reading costs in excess of a slot, in nanoseconds: guesses. */
enum {
	RANGE__RENT_ALONE = 4,   /* by the fast path */
	RANGE__RENT_SHARED = 64, /* by the fast path, with the leaf's line at another thread */
	RANGE__RENT_LOCKED = 128 /* with the leaf locked */
};

struct range__slot {
	_Atomic(uint64_t) state;
	_Atomic(uint64_t) start;
	_Atomic(uint64_t) end;
	_Atomic(struct range__leaf *) leaf;
	_Atomic(struct range_hold *) range;
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
};

/* The calling thread's; NULL before it needs them. */
extern MMRANGE__THREAD_LOCAL struct range__slots *range__slots_own;

/*
 * For a thread that has not needed slots yet: its slots from now on, or some that are never free.
 */
struct range__slots *range__slots_take(void);

/* A slot that the calling thread may use, or NULL. */
static inline struct range__slot *range__slot_find(void)
{
	struct range__slots *own = range__slots_own ? range__slots_own : range__slots_take();

	for (int i = 0; i < RANGE__GROUP_SLOTS; i++)
		/* acquire: pairs with the release in range__slot_free() */
		if ((atomic_load_explicit(&own->slot[i].state, memory_order_acquire) & SLOT_TAG) ==
		    SLOT_FREE)
			return &own->slot[i];
	return NULL;
}

/*
 * Publishes a range whose fields are set, leaf and stamp being the leaf and the word that were
 * seen. False: there is no free slot.
 */
static inline bool range__slot_publish(struct range_hold *range)
{
	struct range__slot *slot = range__slot_find();
	uint64_t state;

	if (!slot)
		return false;
	/* relaxed: only this thread changes a state that is FREE */
	state = atomic_load_explicit(&slot->state, memory_order_relaxed);
	range->slot = slot;
	range->height = 0; /* see range__slot_adopted() */
	atomic_store_explicit(&slot->start, range->start, memory_order_release);
	atomic_store_explicit(&slot->end, range->end, memory_order_release);
	atomic_store_explicit(&slot->leaf, range->leaf, memory_order_release);
	atomic_store_explicit(&slot->range, range, memory_order_release);
	atomic_store_explicit(&slot->state, state | SLOT_IN, memory_order_release); /* [P] */
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
 * After range__slot_publish() or range__slot_leave(): whether nobody but readers has locked the
 * leaf since the range's stamp was loaded. Otherwise it may have been adopted.
 */
static inline bool range__slot_undisturbed(const struct range_hold *range)
{
	mmrange__light_fence(); /* [L] */
	/* relaxed: if it is unchanged, the first load of it has acquired */
	return atomic_load_explicit(&range->leaf->word, memory_order_relaxed) == range->stamp;
}

/*
 * With the leaf locked that holds a range which has been published: whether it is in the tree. One
 * that is in no tree says so until it is adopted.
 */
static inline bool range__slot_adopted(const struct range_hold *range)
{
	return range->height != 0;
}

/* With the leaf locked and not biased: a range that is held leaves its slot, if it has one. */
void range__slot_vacate(struct range_hold *range);

/*
 * When nothing is held in the lock any more: returns when those who released it through slots do
 * not look at its leaves any more.
 */
void range__slots_drain(const struct range_lock *lock);

/* In the child of fork(), before the lock's memory is freed: nothing in a slot is held in it. */
void range__slots_forget(const struct range_lock *lock);

/* With the leaf locked: if it is biased, ends that, and adopts all readers that are in it. */
void range__slots_revoke(struct range__leaf *leaf);

/*
 * Rent and price: ending a bias costs time. A leaf becomes biased when readers have paid as much
 * since the last writer, in excess of what a slot costs. So no more than twice the least possible
 * is paid, whatever comes.
 */

/* Whether readers have paid enough. Without the leaf's lock a guess. */
bool range__slots_due(struct range__leaf *leaf);

/* After the fast path has acquired range: shared says whether another thread came before. */
static inline void range__slots_pay(struct range__leaf *leaf, const struct range_hold *range,
				    bool shared)
{
	/* relaxed: a guess, any value does */
	uint32_t rent = atomic_load_explicit(&leaf->rent, memory_order_relaxed);

	if (range->mode == RANGE_READ)
		rent += shared ? RANGE__RENT_SHARED : RANGE__RENT_ALONE;
	else if (rent == 0)
		return;
	else
		rent = 0;
	atomic_store_explicit(&leaf->rent, rent, memory_order_relaxed);
}

/*
 * With the leaf locked, and nothing in it that conflicts with range, which is about to be held and
 * is in no slot: pays, and makes the leaf biased if that is enough. In a leaf that is biased
 * already those pay who had no slot; and that ends the bias if it is enough.
 */
void range__slots_consider(struct range__leaf *leaf, const struct range_hold *range);

#endif
