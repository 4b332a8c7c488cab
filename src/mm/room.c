/* SPDX-License-Identifier: MIT */
/*
 * The room of an address space: how many more VMAs it may have. The limit is attr.max_areas, and
 * one. Room is divided into parts: one part of each thread, the space's pool, and the claims of
 * edits in progress.
 *
 *	ROOM-M1  The parts, the pool and the claims together are the limit minus the number of VMAs.
 *	         No part is negative between edits; the pool may be.
 *
 * An edit claims room for all VMAs that it may add before it takes any lock but ranges. It gives
 * the rest back after it has dropped its locks. The claim comes from the part of the edit's thread,
 * so the thread writes nothing that other threads write. If the part has too little, the thread
 * adds to it from the pool. If the pool has too little, too, the thread interrupts all threads at
 * once and collects their parts in the pool.
 *
 * If there is still too little, the edit is exact: its thread keeps the lock of the pool until the
 * edit ends, and begins the edit only when no other edit has a claim. By ROOM-M1, the pool is then
 * all the room of the space, and stays so. The limit is therefore as exact as if one lock protected
 * the number of VMAs. All parts are then empty, so all edits take turns until there is more room.
 *
 * An exact edit waits for edits with claims. They do not wait for it, because they take the pool's
 * lock only before they claim, and after they have given back. The exact edit holds ranges and the
 * pool's lock, and nothing else, while it waits; and no edit waits for ranges.
 */
#include "room.h"

#include "backoff.h"
#include "interrupt.h"

/* More than any edit adds, and more than any caller asks for. */
#define CLAIM INT64_C(16)
/*
 * The room that a thread takes beyond its need, and keeps when it gives back. It gives back once it
 * has more than twice as much.
 */
#define SHARE INT64_C(256)

/* Bounded, so that no sum of parts overflows. */
static int64_t most_vmas(const struct mm *mm)
{
	return mm->attr.max_areas > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)mm->attr.max_areas;
}

static int64_t load_room(const _Atomic(int64_t) *number)
{
	/* relaxed: the calling thread's own part, or that of an interrupted thread, or a hint */
	return atomic_load_explicit(number, memory_order_relaxed);
}

static void store_room(_Atomic(int64_t) *number, int64_t value)
{
	atomic_store_explicit(number, value, memory_order_relaxed);
}

static void lock_pool(struct mm *mm)
{
	mm__mutex_lock(&mm->room_lock, MM__ORDER_ROOM);
}

static void unlock_pool(struct mm *mm)
{
	mm__mutex_unlock(&mm->room_lock, MM__ORDER_ROOM);
}

/*
 * Claiming
 */

static bool has_claim(const struct mm__thread *thread)
{
	/* relaxed: as in load_room() */
	return atomic_load_explicit(&thread->claims, memory_order_relaxed);
}

static void set_claim(struct mm__thread *thread, bool claims, int64_t claim)
{
	store_room(&thread->claim, claim);
	atomic_store_explicit(&thread->claims, claims, memory_order_relaxed);
}

static bool claim_from_part(struct mm__thread *thread)
{
	bool enough;

	mm__thread_enter(thread);
	enough = load_room(&thread->room) >= CLAIM;
	if (enough) {
		store_room(&thread->room, load_room(&thread->room) - CLAIM);
		set_claim(thread, true, CLAIM);
	}
	mm__thread_leave(thread);
	return enough;
}

/* Leaves enough in the pool for many threads. */
static int64_t share_of(int64_t pool)
{
	return pool / 512 < SHARE ? pool / 512 : SHARE;
}

/* Claims, and takes more for the thread's next claims. With the pool's lock. */
static bool claim_from_pool(struct mm__thread *thread)
{
	struct mm *mm = thread->mm;
	int64_t taken;

	if (mm->room < CLAIM)
		return false;
	taken = CLAIM + share_of(mm->room - CLAIM);
	mm->room -= taken;
	mm__thread_enter(thread);
	store_room(&thread->room, load_room(&thread->room) + taken);
	mm__thread_leave(thread);
	return claim_from_part(thread);
}

struct collection {
	struct mm *mm;
	uint32_t claims;
};

/* All threads are interrupted. */
static void collect_part(struct mm__thread *thread, void *arg)
{
	struct collection *collection = arg;

	collection->mm->room += load_room(&thread->room);
	store_room(&thread->room, 0);
	collection->claims += has_claim(thread);
}

/* With the pool's lock, which stays locked if the edit is exact. */
static void claim_what_is_left(struct mm__thread *thread)
{
	struct mm__backoff backoff = { 0 };

	while (!claim_from_pool(thread)) {
		struct collection collection = { thread->mm, 0 };

		mm__threads_interrupt_all(thread->mm, collect_part, &collection);
		if (!collection.claims && thread->mm->room < CLAIM) {
			set_claim(thread, true, 0);
			thread->exact = true;
			return;
		}
		if (thread->mm->room < CLAIM)
			mm__backoff(&backoff);
	}
	unlock_pool(thread->mm);
}

void mm__room_claim(struct mm__thread *thread)
{
	if (has_claim(thread) || claim_from_part(thread))
		return;
	lock_pool(thread->mm);
	claim_what_is_left(thread);
}

/* For a thread whose part is negative, or has more room than the thread needs. */
static void balance_room(struct mm__thread *thread)
{
	int64_t room;
	int64_t kept;

	lock_pool(thread->mm);
	mm__thread_enter(thread);
	room = load_room(&thread->room);
	kept = room < SHARE ? room : SHARE;
	kept = kept < 0 ? 0 : kept;
	store_room(&thread->room, kept);
	thread->mm->room += room - kept;
	mm__thread_leave(thread);
	unlock_pool(thread->mm);
}

void mm__room_give_back(struct mm__thread *thread)
{
	int64_t room;

	if (thread->exact) {
		thread->exact = false;
		set_claim(thread, false, 0);
		unlock_pool(thread->mm);
		return;
	}
	mm__thread_enter(thread);
	room = load_room(&thread->room) + load_room(&thread->claim);
	store_room(&thread->room, room);
	set_claim(thread, false, 0);
	mm__thread_leave(thread);
	if (room < 0 || room > 2 * SHARE)
		balance_room(thread);
}

/*
 * With a claim
 */

bool mm__room_for_vmas(const struct mm__thread *thread, uint64_t more)
{
	int64_t left = thread->exact ? thread->mm->room : load_room(&thread->claim);

	return left > 0 && more < (uint64_t)left;
}

void mm__count_vmas(struct mm__thread *thread, int64_t more)
{
	if (thread->exact)
		thread->mm->room -= more;
	else
		store_room(&thread->claim, load_room(&thread->claim) - more);
}

/*
 * Without a claim
 */

bool mm__room_now(struct mm__thread *thread, uint64_t more)
{
	bool room;

	mm__room_claim(thread);
	room = mm__room_for_vmas(thread, more);
	mm__room_give_back(thread);
	return room;
}

void mm__room_begin(struct mm *mm)
{
	mm->room = most_vmas(mm) + 1;
}

void mm__room_end_thread(struct mm__thread *thread)
{
	lock_pool(thread->mm);
	thread->mm->room += load_room(&thread->room);
	store_room(&thread->room, 0);
	unlock_pool(thread->mm);
}

void mm__set_most_vmas(struct mm *mm, uint64_t most)
{
	struct collection collection = { mm, 0 };

	lock_pool(mm);
	mm__threads_interrupt_all(mm, collect_part, &collection);
	mm->room -= most_vmas(mm) + 1;
	mm->attr.max_areas = most;
	mm->room += most_vmas(mm) + 1;
	unlock_pool(mm);
}

static void add_part(struct mm__thread *thread, void *sum)
{
	*(int64_t *)sum += load_room(&thread->room) + load_room(&thread->claim);
}

uint64_t mm__nr_vmas(struct mm *mm)
{
	int64_t all = most_vmas(mm) + 1;
	int64_t room;

	lock_pool(mm);
	room = mm->room;
	mm__threads_for_each(mm, add_part, &room);
	unlock_pool(mm);
	/* A change meanwhile may be counted twice. */
	return room < all ? (uint64_t)(all - room) : 0;
}
