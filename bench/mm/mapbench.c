/* SPDX-License-Identifier: MIT */
/*
 * After mapbench of RadixVM (Clements, Kaashoek & Zeldovich, EuroSys 2013). An item is a page that
 * a thread touched.
 */
#include "mapbench.h"
#include "platform/platform.h"
#include "worker.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

enum { SPINS = 200 };      /* a few microseconds */
enum { TABLE_PAGES = 64 }; /* each thread's slice of the table; a power of 2 */

static uint64_t slot_of(unsigned int thread)
{
	return BASE + thread * SLOT_SIZE;
}

/* A page of the thread's own slot, again and again. */
void mapbench_local(struct mm_worker *worker, uint64_t rounds)
{
	uint64_t page = slot_of(worker->id);

	while (rounds--) {
		map_at(worker, page, MM_PAGE_SIZE);
		worker->items += fault_in(worker, page, MM_PAGE_SIZE);
		unmap(worker, page, MM_PAGE_SIZE);
	}
}

/* If each thread has a processor, the thread waits for less time than these spins take. */
static unsigned int spins_of(const struct mm_worker *worker)
{
	return (long)worker->threads <= sysconf(_SC_NPROCESSORS_ONLN) ? SPINS : 0;
}

/*
 * A system call takes as long as the neighbour's work, so spin first. But the neighbour may not be
 * running.
 */
static void wait_for(const _Atomic(uint64_t) *passed, uint64_t count, unsigned int spins)
{
	/* acquire: pairs with the release in pass() */
	while (atomic_load_explicit(passed, memory_order_acquire) < count) {
		if (spins) {
			spins--;
			mmrange__relax();
		} else {
			sched_yield();
		}
	}
}

static void pass(_Atomic(uint64_t) *passed)
{
	/*
	 * release: pairs with the acquire in wait_for(); relaxed: threads store by turns, which
	 * wait_for() orders
	 */
	atomic_store_explicit(passed, atomic_load_explicit(passed, memory_order_relaxed) + 1,
			      memory_order_release);
}

/*
 * Maps and touches a page of the thread's own slot, and touches and unmaps the neighbour's. A
 * slot's count is odd while the slot has a page.
 */
void mapbench_pipeline(struct mm_worker *worker, uint64_t rounds)
{
	unsigned int neighbour = (worker->id + 1) % worker->threads;
	_Atomic(uint64_t) *own = &worker->passed;
	_Atomic(uint64_t) *theirs = &worker->all[neighbour].passed;
	unsigned int spins = spins_of(worker);
	/* relaxed: the neighbour stored it last, before the threads met */
	uint64_t count = atomic_load_explicit(own, memory_order_relaxed);

	worker->items += 2 * rounds;
	for (; rounds--; count += 2) {
		wait_for(own, count, spins);
		map_at(worker, slot_of(worker->id), MM_PAGE_SIZE);
		fault_in(worker, slot_of(worker->id), MM_PAGE_SIZE);
		pass(own);
		wait_for(theirs, count + 1, spins);
		touch(worker, slot_of(neighbour));
		unmap(worker, slot_of(neighbour), MM_PAGE_SIZE);
		pass(theirs);
	}
}

/*
 * Touches each page once, in a different order each time: a linear congruential generator with the
 * full period, because the number of pages is a power of 2 (Hull & Dobell 1962).
 */
static void touch_all(struct mm_worker *worker, uint64_t pages)
{
	uint64_t random = mm_random(worker);
	uint64_t factor = 4 * (random >> 32) + 1;
	uint64_t step = 2 * (random & UINT32_MAX) + 1;
	uint64_t page = random % pages;
	uint64_t i;

	for (i = 0; i < pages; i++) {
		touch(worker, BASE + page * MM_PAGE_SIZE);
		page = (page * factor + step) % pages;
	}
}

/* Each thread maps its slice, over the old one; then all threads touch the whole table. */
void mapbench_global(struct mm_worker *worker, uint64_t rounds)
{
	uint64_t slice = TABLE_PAGES * MM_PAGE_SIZE;
	uint64_t pages = (uint64_t)TABLE_PAGES * worker->threads;

	while (rounds--) {
		map_at(worker, BASE + worker->id * slice, slice);
		crew_meet(worker->crew);
		touch_all(worker, pages);
		crew_meet(worker->crew);
		worker->items += pages;
		worker->faults += TABLE_PAGES;
	}
}
