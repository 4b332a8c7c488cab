/* SPDX-License-Identifier: MIT */
/*
 * Stopping threads, and what needs it: flushing TLBs, and taking free frames from all threads. See
 * thread.c for which threads use which address spaces.
 */
#include "cpu.h"

#include "../platform/message.h"
#include "backoff.h"
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void lock_attach(void)
{
	mm__mutex_lock(&mm__attach_lock, MM__ORDER_ATTACH);
}

static void unlock_attach(void)
{
	mm__mutex_unlock(&mm__attach_lock, MM__ORDER_ATTACH);
}

/*
 * Stopping. A thread that stops others holds their stop locks, from stop() until go_on().
 */

/* While a flush goes on, unless that has to wait. */
#define SPINS 200u

/* Whether no thread has this one stopped any more; that is so for a short time. */
static bool spin_while_stopped(const struct mm__cpu *cpu)
{
	unsigned int spins = mmrange__spinning_helps() ? SPINS : 0;

	while (spins--) {
		mmrange__relax();
		/* relaxed: it only says that it is time to look */
		if (!(atomic_load_explicit(&cpu->state, memory_order_relaxed) & MM__CPU_STOPPED))
			return true;
	}
	return false;
}

void mm__cpu_wait(struct mm__cpu *cpu)
{
	if (spin_while_stopped(cpu))
		return;
	mm__mutex_lock(&cpu->stop_lock, MM__ORDER_STOP);
	mm__mutex_unlock(&cpu->stop_lock, MM__ORDER_STOP);
}

/* A thread that is not stopped meanwhile is fenced so often, which costs no more than a heavy fence. */
#define FENCED_ENTRIES 2000u

static void unfence(struct mm__cpu *cpu)
{
	uint32_t fenced = MM__CPU_FENCED;

	/* relaxed [F2]: it orders nothing. If somebody is about to stop the thread, it stays fenced. */
	(void)atomic_compare_exchange_strong_explicit(&cpu->state, &fenced, 0, memory_order_relaxed,
						      memory_order_relaxed);
}

bool mm__cpu_pass_fenced(struct mm__cpu *cpu)
{
	mmrange__full_fence(); /* [F1] */
	/* acquire [E2]: pairs with [S3] */
	if (atomic_load_explicit(&cpu->state, memory_order_acquire) & MM__CPU_STOPPED)
		return false;
	if (++cpu->fenced_entries >= FENCED_ENTRIES)
		unfence(cpu);
	return true;
}

/* The threads that a thread stops at a time, in the order of their numbers. */
struct stopped {
	struct mm__cpu *first;
	struct mm__cpu *last;
	bool fenced; /* all of them */
};

/* The locks are one to the order of locks, which does not know the numbers. */
static void begin_stopping(struct stopped *stopped)
{
	*stopped = (struct stopped){ .fenced = true };
	mm__order_take(MM__ORDER_STOP, 0, 0);
}

static void end_stopping(void)
{
	mm__order_drop(MM__ORDER_STOP);
}

static void stop(struct stopped *stopped, struct mm__cpu *cpu)
{
	mm__check(!stopped->last || stopped->last->number < cpu->number,
		  "threads are stopped in another order than that of their numbers");
	if (MM__LOCKING && pthread_mutex_trylock(&cpu->stop_lock)) {
		(void)spin_while_stopped(cpu);
		pthread_mutex_lock(&cpu->stop_lock);
	}
	/* relaxed [S1]: ordered by the fence */
	if (!(atomic_fetch_or_explicit(&cpu->state, MM__CPU_STOPPED, memory_order_relaxed) &
	      MM__CPU_FENCED))
		stopped->fenced = false;
	cpu->next_stopped = NULL;
	if (stopped->last)
		stopped->last->next_stopped = cpu;
	else
		stopped->first = cpu;
	stopped->last = cpu;
}

void mm__heavy_fence(void)
{
	if (!mmrange__try_heavy_fence())
		mmrange__stop("the system does not do membarrier() any more, which it did");
}

static void pass_fence(const struct stopped *stopped)
{
	if (!MM__LOCKING)
		return;
	if (stopped->fenced)
		mmrange__full_fence();
	else
		mm__heavy_fence();
}

static void wait_stopped(struct mm__cpu *cpu)
{
	struct mm__backoff backoff = { 0 };

	/* acquire [S2]: pairs with [E3]. The thread copies a page at most, unless it is preempted. */
	while (atomic_load_explicit(&cpu->busy, memory_order_acquire))
		mm__backoff(&backoff);
}

/* Returns the next one that is stopped: the caller must not look at this one any more. */
static struct mm__cpu *go_on(struct mm__cpu *cpu)
{
	struct mm__cpu *next = cpu->next_stopped;

	cpu->fenced_entries = 0;
	/* release [S3]: pairs with [E2]. Without heavy fences, light ones are full already. */
	atomic_store_explicit(&cpu->state, mmrange__fence_is_heavy ? MM__CPU_FENCED : 0,
			      memory_order_release);
	if (MM__LOCKING)
		pthread_mutex_unlock(&cpu->stop_lock);
	return next;
}

/* With the lock of the cpus, so that none begins. */
static void stop_used(struct stopped *stopped, const struct mm__cpus *cpus,
		      const struct mm__cpu *but)
{
	for (uint32_t number = 1; number <= cpus->size; number++) {
		struct mm__cpu *cpu = mm__cpu_of(cpus, number);

		if (cpu && cpu->used && cpu != but)
			stop(stopped, cpu);
	}
}

void mm__cpus_stop_all(struct mm *mm, void (*visit)(struct mm__cpu *cpu, void *arg), void *arg)
{
	struct stopped stopped;

	mm__mutex_lock(&mm->cpus.lock, MM__ORDER_CPUS);
	begin_stopping(&stopped);
	stop_used(&stopped, &mm->cpus, NULL);
	pass_fence(&stopped);
	for (struct mm__cpu *cpu = stopped.first; cpu; cpu = cpu->next_stopped)
		wait_stopped(cpu);
	for (struct mm__cpu *cpu = stopped.first; cpu; cpu = cpu->next_stopped)
		visit(cpu, arg);
	for (struct mm__cpu *cpu = stopped.first; cpu;)
		cpu = go_on(cpu);
	end_stopping();
	mm__mutex_unlock(&mm->cpus.lock, MM__ORDER_CPUS);
}

void mm__cpus_for_each(struct mm *mm, void (*visit)(struct mm__cpu *cpu, void *arg), void *arg)
{
	mm__mutex_lock(&mm->cpus.lock, MM__ORDER_CPUS);
	for (uint32_t number = 1; number <= mm->cpus.size; number++) {
		struct mm__cpu *cpu = mm__cpu_of(&mm->cpus, number);

		if (cpu && cpu->used)
			visit(cpu, arg);
	}
	mm__mutex_unlock(&mm->cpus.lock, MM__ORDER_CPUS);
}

/*
 * Flushing
 */

static void wipe_slot(struct mm__tlb_entry *slot, uint64_t start, uint64_t end)
{
	if (slot->page > start && slot->page <= end)
		slot->page = 0;
}

/* Looks only where a page of [start, end) can be: the slots of another thread are on its lines. */
static void wipe(struct mm__cpu *cpu, uint64_t start, uint64_t end)
{
	uint64_t pages = (end - start) >> MM_PAGE_SHIFT;

	if (pages > MM__TLB_ENTRIES)
		pages = MM__TLB_ENTRIES;
	for (uint64_t i = 0; i < pages; i++)
		wipe_slot(mm__tlb_slot(cpu, start + (i << MM_PAGE_SHIFT)), start, end);
}

static void wipe_own(struct mm__cpu *cpu, uint64_t start, uint64_t end)
{
	mm__cpu_enter(cpu);
	wipe(cpu, start, end);
	mm__cpu_leave(cpu);
}

static bool in_set(const struct mm__cpu_set *set, uint32_t number)
{
	bool found = set->all;

	for (unsigned int i = 0; i < set->count && !found; i++)
		found = set->number[i] == number;
	return found;
}

/* A thread that begins after this finds the page table as the caller has left it. */
static void stop_all_others(struct stopped *stopped, struct mm *mm, const struct mm__cpu *self)
{
	mm__mutex_lock(&mm->cpus.lock, MM__ORDER_CPUS);
	begin_stopping(stopped);
	stop_used(stopped, &mm->cpus, self);
	mm__mutex_unlock(&mm->cpus.lock, MM__ORDER_CPUS);
}

/* Of a number whose thread has ended, the cpu is idle, or the next thread's, which it does no harm. */
static void stop_set(struct stopped *stopped, const struct mm *mm, const struct mm__cpu *self,
		     const struct mm__cpu_set *set)
{
	begin_stopping(stopped);
	for (unsigned int i = 0; i < set->count; i++)
		if (set->number[i] != self->number)
			stop(stopped, mm__cpu_of(&mm->cpus, set->number[i]));
}

static void flush_others(struct mm *mm, const struct mm__cpu *self, const struct mm__cpu_set *set,
			 uint64_t start, uint64_t end)
{
	struct stopped stopped;

	if (set->all)
		stop_all_others(&stopped, mm, self);
	else
		stop_set(&stopped, mm, self, set);
	pass_fence(&stopped);
	for (struct mm__cpu *cpu = stopped.first; cpu;) {
		wait_stopped(cpu);
		wipe(cpu, start, end);
		cpu = go_on(cpu);
	}
	end_stopping();
}

void mm__tlb_flush(struct mm *mm, struct mm__cpu *cpu, const struct mm__cpu_set *set,
		   uint64_t start, uint64_t end)
{
	bool own = in_set(set, cpu->number);

	if (own)
		wipe_own(cpu, start, end);
	if (MM__LOCKING && (set->all || set->count > (own ? 1u : 0u)))
		flush_others(mm, cpu, set, start, end);
}

/* Stops one, while the attach lock keeps it from ending. */
static void stop_one(struct mm__cpu *cpu)
{
	struct stopped stopped;

	begin_stopping(&stopped);
	stop(&stopped, cpu);
	pass_fence(&stopped);
	wait_stopped(cpu);
}

static void let_one_go_on(struct mm__cpu *cpu)
{
	(void)go_on(cpu);
	end_stopping();
}

#ifdef MMRANGE_CHECKED
static bool has_in_tlb(const struct mm__cpu *cpu, const struct mm__frame *frame)
{
	for (unsigned int i = 0; i < MM__TLB_ENTRIES; i++)
		if (cpu->tlb[i].page && !(cpu->tlb[i].entry & MM__FILE) &&
		    mm__entry_frame(cpu->tlb[i].entry) == frame)
			return true;
	return false;
}

void mm__check_unreachable(struct mm__frames *pool, struct mm__frame *const *frames, unsigned int n)
{
	lock_attach();
	for (struct mm__cpu *cpu = n ? pool->cpus : NULL; cpu; cpu = cpu->next_of_pool) {
		stop_one(cpu);
		for (unsigned int i = 0; i < n; i++)
			mm__check(!has_in_tlb(cpu, frames[i]),
				  "a page is freed that a thread can still reach");
		let_one_go_on(cpu);
	}
	unlock_attach();
}
#endif

/*
 * Frames
 */

static void empty_stopped(struct mm__cpu *cpu)
{
	/* What was put in before this call is seen, and what comes later is not looked for. */
	if (!mm__frame_cache_count(&cpu->cache))
		return;
	stop_one(cpu);
	mm__frame_cache_empty(cpu->mm->frames, &cpu->cache);
	let_one_go_on(cpu);
}

/* A batch from the depot, whose lock is held. */
static bool load_batch(struct mm__cpu *cpu)
{
	bool loaded;

	mm__cpu_enter(cpu);
	loaded = mm__frame_cache_load(cpu->mm->frames, &cpu->cache);
	mm__cpu_leave(cpu);
	return loaded;
}

/* Gives the free frames of all threads to the depot. Its lock is held, and the attach lock. */
static void empty_caches(struct mm__frames *pool)
{
	for (struct mm__cpu *cpu = pool->cpus; cpu; cpu = cpu->next_of_pool)
		empty_stopped(cpu);
}

void mm__cpu_reclaim(struct mm__cpu *cpu)
{
	struct mm__frames *pool = cpu->mm->frames;

	mm__order_may_block("memory is waited for");
	/* Shared memory that is not mapped any more goes with its last area. */
	if (atomic_load_explicit(&pool->shared, memory_order_relaxed))
		mm__rcu_barrier();
	lock_attach();
	mm__frames_lock(pool);
	empty_caches(pool);
	mm__frames_unlock(pool);
	unlock_attach();
}

/* Takes a batch from the depot, if all threads together have any. */
static bool load_last(struct mm__cpu *cpu)
{
	struct mm__frames *pool = cpu->mm->frames;
	bool loaded;

	lock_attach();
	mm__frames_lock(pool);
	empty_caches(pool);
	loaded = load_batch(cpu);
	mm__frames_unlock(pool);
	unlock_attach();
	return loaded;
}

struct mm__frame *mm__cpus_take_frame(struct mm__frames *pool)
{
	struct mm__frame *frame = mm__frame_take(pool);

	if (frame)
		return frame;
	lock_attach();
	mm__frames_lock(pool);
	empty_caches(pool);
	frame = mm__frames_take_one(pool);
	mm__frames_unlock(pool);
	unlock_attach();
	return frame;
}

int mm__cpu_refill(struct mm__cpu *cpu)
{
	struct mm__frames *pool = cpu->mm->frames;
	bool loaded;

	mm__frames_lock(pool);
	loaded = load_batch(cpu);
	mm__frames_unlock(pool);
	if (loaded || load_last(cpu))
		return 0;
	mm__cpu_reclaim(cpu);
	return load_last(cpu) ? 0 : ENOMEM;
}

/* Leaves those of the n frames in the array that are free now and come from the pool. */
static unsigned int drop(struct mm__frames *pool, struct mm__frame **frames, unsigned int n)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (mm__frame_pool(frames[i]) != pool)
			mm__frame_put(frames[i]);
		else if (mm__frame_drop(frames[i]))
			frames[kept++] = frames[i];
	}
	return kept;
}

static void make_room(struct mm__cpu *cpu)
{
	struct mm__frames *pool = cpu->mm->frames;

	mm__frames_lock(pool);
	mm__cpu_enter(cpu);
	mm__frame_cache_make_room(pool, &cpu->cache);
	mm__cpu_leave(cpu);
	mm__frames_unlock(pool);
}

void mm__cpu_drop_frames(struct mm__cpu *cpu, struct mm__frame **frames, unsigned int n)
{
	unsigned int i = 0;

	n = drop(cpu->mm->frames, frames, n);
	mm__check_unreachable(cpu->mm->frames, frames, n);
	while (i < n) {
		mm__cpu_enter(cpu);
		while (i < n && mm__frame_cache_put(&cpu->cache, frames[i]))
			i++;
		mm__cpu_leave(cpu);
		if (i < n)
			make_room(cpu);
	}
}

/*
 * Counters
 */

void mm__events(struct mm *mm, uint64_t sums[MM__NR_EVENTS])
{
	struct mm__cpus *cpus = &mm->cpus;

	mm__mutex_lock(&cpus->lock, MM__ORDER_CPUS);
	memcpy(sums, cpus->past, sizeof(cpus->past));
	for (uint32_t number = 1; number <= cpus->size; number++) {
		const struct mm__cpu *cpu = mm__cpu_of(cpus, number);

		for (unsigned int event = 0; cpu && event < MM__NR_EVENTS; event++)
			sums[event] +=
				atomic_load_explicit(&cpu->events[event], memory_order_relaxed);
	}
	mm__mutex_unlock(&cpus->lock, MM__ORDER_CPUS);
}

uint64_t mm__frames_used(struct mm__frames *pool)
{
	uint64_t cached = 0;
	uint64_t used;

	lock_attach();
	mm__frames_lock(pool);
	for (struct mm__cpu *cpu = pool->cpus; cpu; cpu = cpu->next_of_pool)
		cached += mm__frame_cache_count(&cpu->cache);
	used = mm__frames_handed_out(pool);
	mm__frames_unlock(pool);
	unlock_attach();
	/* A frame that goes from cache to cache meanwhile may be counted in both. */
	return used > cached ? used - cached : 0;
}
