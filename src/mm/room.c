/* SPDX-License-Identifier: MIT */
/*
 * How many more areas an address space may have: attr.max_areas, and one. The room for them is in parts: one
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
static int64_t most_areas(const struct mm *mm)
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

static bool has_claim(const struct mm__cpu *cpu)
{
	/* relaxed: as in load() */
	return atomic_load_explicit(&cpu->claims, memory_order_relaxed);
}

static void set_claim(struct mm__cpu *cpu, bool claims, int64_t claim)
{
	store(&cpu->claim, claim);
	atomic_store_explicit(&cpu->claims, claims, memory_order_relaxed);
}

static bool claim_from_part(struct mm__cpu *cpu)
{
	bool enough;

	mm__cpu_enter(cpu);
	enough = load(&cpu->room) >= CLAIM;
	if (enough) {
		store(&cpu->room, load(&cpu->room) - CLAIM);
		set_claim(cpu, true, CLAIM);
	}
	mm__cpu_leave(cpu);
	return enough;
}

/* Leaves enough in the pool for many threads. */
static int64_t share_of(int64_t pool)
{
	return pool / 512 < SHARE ? pool / 512 : SHARE;
}

/* A claim, and more for the thread's next ones. With the lock. */
static bool claim_from_pool(struct mm__cpu *cpu)
{
	struct mm *mm = cpu->mm;
	int64_t taken;

	if (mm->room < CLAIM)
		return false;
	taken = CLAIM + share_of(mm->room - CLAIM);
	mm->room -= taken;
	mm__cpu_enter(cpu);
	store(&cpu->room, load(&cpu->room) + taken);
	mm__cpu_leave(cpu);
	return claim_from_part(cpu);
}

struct collection {
	struct mm *mm;
	uint32_t claims;
};

/* All threads are stopped. */
static void collect_part(struct mm__cpu *cpu, void *arg)
{
	struct collection *collection = arg;

	collection->mm->room += load(&cpu->room);
	store(&cpu->room, 0);
	collection->claims += has_claim(cpu);
}

/* With the lock, which stays taken if the edit is an exact one. */
static void claim_what_is_left(struct mm__cpu *cpu)
{
	struct mm__backoff backoff = { 0 };

	while (!claim_from_pool(cpu)) {
		struct collection collection = { cpu->mm, 0 };

		mm__cpus_stop_all(cpu->mm, collect_part, &collection);
		if (!collection.claims && cpu->mm->room < CLAIM) {
			set_claim(cpu, true, 0);
			cpu->exact = true;
			return;
		}
		if (cpu->mm->room < CLAIM)
			mm__backoff(&backoff);
	}
	unlock_pool(cpu->mm);
}

void mm__room_claim(struct mm__cpu *cpu)
{
	if (has_claim(cpu) || claim_from_part(cpu))
		return;
	lock_pool(cpu->mm);
	claim_what_is_left(cpu);
}

/* The part had less than nothing, or has more than the thread needs. */
static void balance(struct mm__cpu *cpu)
{
	int64_t room;
	int64_t kept;

	lock_pool(cpu->mm);
	mm__cpu_enter(cpu);
	room = load(&cpu->room);
	kept = room < SHARE ? room : SHARE;
	kept = kept < 0 ? 0 : kept;
	store(&cpu->room, kept);
	cpu->mm->room += room - kept;
	mm__cpu_leave(cpu);
	unlock_pool(cpu->mm);
}

void mm__room_give_back(struct mm__cpu *cpu)
{
	int64_t room;

	if (cpu->exact) {
		cpu->exact = false;
		set_claim(cpu, false, 0);
		unlock_pool(cpu->mm);
		return;
	}
	mm__cpu_enter(cpu);
	room = load(&cpu->room) + load(&cpu->claim);
	store(&cpu->room, room);
	set_claim(cpu, false, 0);
	mm__cpu_leave(cpu);
	if (room < 0 || room > 2 * SHARE)
		balance(cpu);
}

/*
 * With a claim
 */

bool mm__room_for_areas(const struct mm__cpu *cpu, uint64_t more)
{
	int64_t left = cpu->exact ? cpu->mm->room : load(&cpu->claim);

	return left > 0 && more < (uint64_t)left;
}

void mm__count_areas(struct mm__cpu *cpu, int64_t more)
{
	if (cpu->exact)
		cpu->mm->room -= more;
	else
		store(&cpu->claim, load(&cpu->claim) - more);
}

/*
 * Without
 */

bool mm__room_now(struct mm__cpu *cpu, uint64_t more)
{
	bool room;

	mm__room_claim(cpu);
	room = mm__room_for_areas(cpu, more);
	mm__room_give_back(cpu);
	return room;
}

void mm__room_begin(struct mm *mm)
{
	mm->room = most_areas(mm) + 1;
}

void mm__room_end_cpu(struct mm__cpu *cpu)
{
	lock_pool(cpu->mm);
	cpu->mm->room += load(&cpu->room);
	store(&cpu->room, 0);
	unlock_pool(cpu->mm);
}

void mm__set_most_areas(struct mm *mm, uint64_t most)
{
	struct collection collection = { mm, 0 };

	lock_pool(mm);
	mm__cpus_stop_all(mm, collect_part, &collection);
	mm->room -= most_areas(mm) + 1;
	mm->attr.max_areas = most;
	mm->room += most_areas(mm) + 1;
	unlock_pool(mm);
}

static void add_part(struct mm__cpu *cpu, void *sum)
{
	*(int64_t *)sum += load(&cpu->room) + load(&cpu->claim);
}

uint64_t mm__nr_areas(struct mm *mm)
{
	int64_t all = most_areas(mm) + 1;
	int64_t room;

	lock_pool(mm);
	room = mm->room;
	mm__cpus_for_each(mm, add_part, &room);
	unlock_pool(mm);
	/* What changes meanwhile may be counted twice. */
	return room < all ? (uint64_t)(all - room) : 0;
}
