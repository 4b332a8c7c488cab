/* SPDX-License-Identifier: MIT */
/*
 * How many more VMAs an address space may have: attr.max_areas, and one. The room for them is in parts: one
 * of each thread, the space's pool, and what edits in progress have claimed. Together they are what is left
 * (M1). A part is never negative between edits; the pool may be.
 *
 * An edit claims room for all that it may add before it takes any lock but ranges, and gives back what it
 * has not used after it has dropped them. It takes it from its thread's part, without a word to others. If
 * that has too little, the part gets some from the pool; if that has too little, too, all threads are
 * interrupted at once, and their parts collected in the pool.
 *
 * If there is still too little, the edit is an exact one: it keeps the lock of the pool until it ends, and
 * begins only when no other edit has a claim. So, by (M1), the pool is all that is left, and stays so: the
 * limit is as exact as where one lock is held for all. No part has anything then, so all edits take turns
 * until there is more room.
 *
 * An exact edit waits for edits with claims, and those do not wait for it: they take the pool's lock only
 * before they claim, and after. It holds ranges, the lock and nothing else, and an edit does not wait for
 * ranges.
 */
#include "backoff.h"
#include "internal.h"

/* More than any edit adds, or asks for. */
#define CLAIM INT64_C(16)
/* What a thread takes more than it needs, and what it gives back when it has twice as much. */
#define SHARE INT64_C(256)

/* So that no sum of parts is too large. */
static int64_t most_vmas(const struct mm *mm)
{
	return mm->attr.max_areas > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)mm->attr.max_areas;
}

static int64_t load(const _Atomic(int64_t) *number)
{
	/* relaxed: the thread's own, or the thread is stopped, or a hint */
	return atomic_load_explicit(number, memory_order_relaxed);
}

static void store(_Atomic(int64_t) *number, int64_t value)
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
	/* relaxed: as in load() */
	return atomic_load_explicit(&thread->claims, memory_order_relaxed);
}

static void set_claim(struct mm__thread *thread, bool claims, int64_t claim)
{
	store(&thread->claim, claim);
	atomic_store_explicit(&thread->claims, claims, memory_order_relaxed);
}

static bool claim_from_part(struct mm__thread *thread)
{
	bool enough;

	mm__thread_enter(thread);
	enough = load(&thread->room) >= CLAIM;
	if (enough) {
		store(&thread->room, load(&thread->room) - CLAIM);
		set_claim(thread, true, CLAIM);
	}
	mm__thread_leave(thread);
	return enough;
}

/* Border nodes enough in the pool for many threads. */
static int64_t share_of(int64_t pool)
{
	return pool / 512 < SHARE ? pool / 512 : SHARE;
}

/* A claim, and more for the thread's next ones. With the lock. */
static bool claim_from_pool(struct mm__thread *thread)
{
	struct mm *mm = thread->mm;
	int64_t taken;

	if (mm->room < CLAIM)
		return false;
	taken = CLAIM + share_of(mm->room - CLAIM);
	mm->room -= taken;
	mm__thread_enter(thread);
	store(&thread->room, load(&thread->room) + taken);
	mm__thread_leave(thread);
	return claim_from_part(thread);
}

struct collection {
	struct mm *mm;
	uint32_t claims;
};

/* All threads are stopped. */
static void collect_part(struct mm__thread *thread, void *arg)
{
	struct collection *collection = arg;

	collection->mm->room += load(&thread->room);
	store(&thread->room, 0);
	collection->claims += has_claim(thread);
}

/* With the lock, which stays taken if the edit is an exact one. */
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

/* The part had less than nothing, or has more than the thread needs. */
static void balance(struct mm__thread *thread)
{
	int64_t room;
	int64_t kept;

	lock_pool(thread->mm);
	mm__thread_enter(thread);
	room = load(&thread->room);
	kept = room < SHARE ? room : SHARE;
	kept = kept < 0 ? 0 : kept;
	store(&thread->room, kept);
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
	room = load(&thread->room) + load(&thread->claim);
	store(&thread->room, room);
	set_claim(thread, false, 0);
	mm__thread_leave(thread);
	if (room < 0 || room > 2 * SHARE)
		balance(thread);
}

/*
 * With a claim
 */

bool mm__room_for_vmas(const struct mm__thread *thread, uint64_t more)
{
	int64_t left = thread->exact ? thread->mm->room : load(&thread->claim);

	return left > 0 && more < (uint64_t)left;
}

void mm__count_vmas(struct mm__thread *thread, int64_t more)
{
	if (thread->exact)
		thread->mm->room -= more;
	else
		store(&thread->claim, load(&thread->claim) - more);
}

/*
 * Without
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
	thread->mm->room += load(&thread->room);
	store(&thread->room, 0);
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
	*(int64_t *)sum += load(&thread->room) + load(&thread->claim);
}

uint64_t mm__nr_vmas(struct mm *mm)
{
	int64_t all = most_vmas(mm) + 1;
	int64_t room;

	lock_pool(mm);
	room = mm->room;
	mm__threads_for_each(mm, add_part, &room);
	unlock_pool(mm);
	/* What changes meanwhile may be counted twice. */
	return room < all ? (uint64_t)(all - room) : 0;
}
