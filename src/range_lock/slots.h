/* SPDX-License-Identifier: MIT */
/*
 * slots - where readers publish their ranges without a write to a shared line.
 *
 * A leaf that many readers come to becomes biased (bias.h): its word says BIASED(generation). Then
 * a reader holds its range once it has published the range in a slot, on a cache line of its own
 * thread, and has seen that the leaf's word is still the same. A range that spans two biased leaves
 * is published once, and the reader looks at both words. A reader of several ranges publishes all
 * of them before it looks at the word of any, and takes all of them back if one has changed.
 *
 * A thread that locks the leaf for anything else than reading revokes the bias first. It looks
 * through all slots and adopts the readers that overlap the leaf: it records their ranges in the
 * leaf, where they are released like all others. A thread adopts exact ranges, so a reader of [0,
 * 1) never delays a writer of [2, 3).
 *
 * A thread owns one group of slots from its first need until its end. It does not matter which
 * group. A thread without a group, or with more ranges than slots, locks the leaf. Another thread
 * may release a range that the group's owner has published.
 *
 * A slot's state is a version and one of
 *
 *	FREE      the owner of the group may use the slot
 *	IN        the slot's range is held, if its reader saw the words unchanged afterwards
 *	LEAVING   the range is not held through the slot any more
 *
 * The owner of the group changes FREE to IN. The thread that releases the range changes IN to
 * LEAVING, and LEAVING to FREE of the next version. A thread that adopts never writes to a slot.
 *
 * Invariants:
 *
 *	SLOT-S1  A biased leaf has no writers and no queue: all ranges recorded in it are readers'.
 *	SLOT-S2  A reader that has seen the word unchanged after publishing is adopted before the
 *	         leaf's bounds change, before a writer is granted a range in it, and before a thread
 *	         looks for a conflict in it.
 *	SLOT-S3  A range is adopted at most once in each leaf, and only while its owner cannot have
 *	         gone on. The adopting thread has locked the leaf and has seen IN after the fence
 *	         SLOT-H. So the owner will see that the word has changed, if it has not yet, and
 *	         will lock that leaf before it returns.
 *	SLOT-S4  While a range is in a slot its bounds do not change: a thread that changes them
 *	         takes the range out of the slot first.
 *	SLOT-S5  A range in a slot overlapped at most two leaves when it was published, and
 *	         remembers the words of those two. So it has a node for each of them.
 *
 * Ordering:
 *
 *	[SLOT-P]  publish: state = IN (release); fence SLOT-L; load the words: as before?
 *	[SLOT-Q]  leave:   state = LEAVING (release); fence SLOT-L; load the words: as before?
 *	[SLOT-H]  adopt:   the word is LOCKED; heavy fence; load the states (acquire)
 *	[SLOT-L]  the light fence of P and Q
 *
 * - L and H are a pair: either the load of the word in P or Q sees the change, or H sees the state.
 *   Many threads pass L and few pass H. Where the system can (membarrier), L therefore costs
 *   nothing and H makes all other threads pass a fence. One H serves all leaves that are LOCKED
 *   before it. (C++ P1202, "Asymmetric fences"; folly's AsymmetricThreadFence.)
 * - IN (release) to adopt (acquire): the range's fields.
 * - LEAVING and FREE (release) to publish and adopt (acquire): the accesses under the range come
 *   before those under the next one.
 * - The slot's other fields are release stores and acquire loads. A thread that sees a newer field
 *   than the state says sees a newer state, too, when it loads the state again.
 * - The LEAF-U2 that makes a word BIASED comes after every writer's release: the reader's first
 *   load of the word (acquire) orders.
 *
 * A generation is biased once. A word that is the same has been nothing else in between, except
 * LOCKED by readers that adopted none.
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

/* The version is above the tag: FREE of the next version is LEAVING and one. */
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
		owner; /* mmrange__self() of the thread that published the ranges in the slots */
};

/*
 * The groups of threads that have not needed slots yet, and of those that cannot have any: their
 * slots are never free.
 */
extern MMRANGE__LOCAL struct range__slots range__slots_not_yet, range__slots_none;

/* The calling thread's group, or one of these two. */
extern MMRANGE__LOCAL MMRANGE__THREAD_LOCAL struct range__slots *range__slots_own;

/* The slots of a thread that has not needed any yet, from now on: a group, or range__slots_none. */
struct range__slots *range__slots_take(void);

/* A free slot of the calling thread, or NULL. */
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

/* Publishes [start, end) of a range in a slot whose state is FREE. */
static inline void range__slot_fill(struct range__slot *slot, uint64_t state,
				    struct range__lock *lock, struct range__hold *range,
				    uint64_t start, uint64_t end)
{
	range->slot = slot;
	atomic_store_explicit(&slot->start, start, memory_order_release);
	atomic_store_explicit(&slot->end, end, memory_order_release);
	atomic_store_explicit(&slot->lock, lock, memory_order_release);
	atomic_store_explicit(&slot->range, range, memory_order_release);
	atomic_store_explicit(&slot->state, state | SLOT_IN, memory_order_release); /* [SLOT-P] */
}

/*
 * Publishes a range whose fields are set, with its leaves and the words that they had. False: the
 * thread has no free slot.
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

/* The range is not held through its slot any more. Returns the state that frees the slot. */
static inline uint64_t range__slot_leave(struct range__slot *slot)
{
	/* relaxed: no other thread writes it */
	uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed) | SLOT_LEAVING;

	atomic_store_explicit(&slot->state, state, memory_order_release); /* [SLOT-Q] */
	return state + 1;
}

static inline void range__slot_free(struct range__slot *slot, uint64_t next)
{
	atomic_store_explicit(&slot->state, next, memory_order_release);
}

/*
 * After a range was published or has left: whether only readers have locked the leaf since its word
 * was loaded. Otherwise another thread may have adopted the range there.
 */
static inline bool range__slot_sees(struct range__leaf *leaf, uint64_t word)
{
	/* relaxed: if the word is unchanged, its first load has acquired */
	return atomic_load_explicit(&leaf->word, memory_order_relaxed) == word;
}

static inline bool range__slot_undisturbed(const struct range__hold *range, unsigned int which)
{
	return range__slot_sees(range->leaf[which], range->saved_word[which]);
}

/*
 * With all leaves of a held range locked and not biased: the range leaves its slot, if it has one.
 */
void range__slot_vacate(struct range__hold *range);

/*
 * When no range is held in the lock any more: returns when the threads that released ranges through
 * slots do not look at the lock's leaves any more.
 */
void range__slots_drain(const struct range__lock *lock);

/*
 * With all leaves of a set locked, after the fence SLOT-H: records all readers that slots have in
 * those leaves of the set that are marked as biased.
 */
void range__slots_adopt(struct range__set *set);

/*
 * In the child of fork(), before the lock's memory is freed: no range in a slot is held in the
 * lock.
 */
void range__slots_forget(const struct range__lock *lock);

#endif
