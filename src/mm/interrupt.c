/* SPDX-License-Identifier: MIT */
/*
 * Interrupting threads, and the operations that need it: flushing TLBs, and taking free frames from
 * all threads. See attach.c for which threads use which address spaces.
 */
#include "thread.h"

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
 * Interrupting. A thread holds the interrupt locks of the threads that it interrupts, from stop()
 * until go_on().
 */

/* Long enough for a flush that need not wait itself. */
#define SPINS 200u

/* Waits for a short time. Returns whether the thread is not interrupted any more. */
static bool spin_while_stopped(const struct mm__thread *thread)
{
	unsigned int spins = mmrange__spinning_helps() ? SPINS : 0;

	while (spins--) {
		mmrange__relax();
		/* relaxed: it only tells when to look again */
		if (!(atomic_load_explicit(&thread->state, memory_order_relaxed) &
		      MM__THREAD_INTERRUPTED))
			return true;
	}
	return false;
}

void mm__thread_wait_resumed(struct mm__thread *thread)
{
	if (spin_while_stopped(thread))
		return;
	mm__mutex_lock(&thread->interrupt_lock, MM__ORDER_INTERRUPT);
	mm__mutex_unlock(&thread->interrupt_lock, MM__ORDER_INTERRUPT);
}

/*
 * A thread that is not interrupted again passes this many full fences, and then is unfenced.
 * Together they cost no more than a heavy fence.
 */
#define FENCED_ENTRIES 2000u

static void unfence(struct mm__thread *thread)
{
	uint32_t fenced = MM__THREAD_FENCED;

	/*
	 * relaxed [THREAD-F2]: it orders nothing. If another thread is about to interrupt this one,
	 * this one stays fenced.
	 */
	(void)atomic_compare_exchange_strong_explicit(&thread->state, &fenced, 0,
						      memory_order_relaxed, memory_order_relaxed);
}

bool mm__thread_pass_fenced(struct mm__thread *thread)
{
	mmrange__full_fence(); /* [THREAD-F1] */
	/* acquire [THREAD-E2]: pairs with [THREAD-S3] */
	if (atomic_load_explicit(&thread->state, memory_order_acquire) & MM__THREAD_INTERRUPTED)
		return false;
	if (++thread->fenced_entries >= FENCED_ENTRIES)
		unfence(thread);
	return true;
}

/* The threads that one thread interrupts together, in the order of their numbers. */
struct stopped {
	struct mm__thread *first;
	struct mm__thread *last;
	bool fenced; /* all of them are */
};

/*
 * For the check of the lock order, all interrupt locks are one, because it does not know numbers.
 */
static void begin_stopping(struct stopped *stopped)
{
	*stopped = (struct stopped){ .fenced = true };
	mm__order_take(MM__ORDER_INTERRUPT, 0, 0);
}

static void end_stopping(void)
{
	mm__order_drop(MM__ORDER_INTERRUPT);
}

static void stop(struct stopped *stopped, struct mm__thread *thread)
{
	mm__check(!stopped->last || stopped->last->number < thread->number,
		  "threads are stopped in another order than that of their numbers");
	if (MM__LOCKING && pthread_mutex_trylock(&thread->interrupt_lock)) {
		(void)spin_while_stopped(thread);
		pthread_mutex_lock(&thread->interrupt_lock);
	}
	/* relaxed [THREAD-S1]: ordered by the fence */
	if (!(atomic_fetch_or_explicit(&thread->state, MM__THREAD_INTERRUPTED,
				       memory_order_relaxed) &
	      MM__THREAD_FENCED))
		stopped->fenced = false;
	thread->next_interrupted = NULL;
	if (stopped->last)
		stopped->last->next_interrupted = thread;
	else
		stopped->first = thread;
	stopped->last = thread;
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

static void wait_stopped(struct mm__thread *thread)
{
	struct mm__backoff backoff = { 0 };

	/*
	 * acquire [THREAD-S2]: pairs with [THREAD-E3]. While it is busy, the thread copies a page
	 * at most, unless the system preempts it.
	 */
	while (atomic_load_explicit(&thread->busy, memory_order_acquire))
		mm__backoff(&backoff);
}

/*
 * Resumes the thread. Returns the next interrupted thread, because the caller must not look at this
 * one any more.
 */
static struct mm__thread *go_on(struct mm__thread *thread)
{
	struct mm__thread *next = thread->next_interrupted;

	thread->fenced_entries = 0;
	/*
	 * release [THREAD-S3]: pairs with [THREAD-E2]. On a system without heavy fences, the light
	 * fence is a full fence, and no thread needs to be fenced.
	 */
	atomic_store_explicit(&thread->state, mmrange__fence_is_heavy ? MM__THREAD_FENCED : 0,
			      memory_order_release);
	if (MM__LOCKING)
		pthread_mutex_unlock(&thread->interrupt_lock);
	return next;
}

/* With the lock of struct mm__threads, so that no thread begins. */
static void stop_used(struct stopped *stopped, const struct mm__threads *threads,
		      const struct mm__thread *but)
{
	for (uint32_t number = 1; number <= threads->size; number++) {
		struct mm__thread *thread = mm__thread_of(threads, number);

		if (thread && thread->used && thread != but)
			stop(stopped, thread);
	}
}

void mm__threads_interrupt_all(struct mm *mm, void (*visit)(struct mm__thread *thread, void *arg),
			       void *arg)
{
	struct stopped stopped;

	mm__mutex_lock(&mm->threads.lock, MM__ORDER_THREADS);
	begin_stopping(&stopped);
	stop_used(&stopped, &mm->threads, NULL);
	pass_fence(&stopped);
	for (struct mm__thread *thread = stopped.first; thread; thread = thread->next_interrupted)
		wait_stopped(thread);
	for (struct mm__thread *thread = stopped.first; thread; thread = thread->next_interrupted)
		visit(thread, arg);
	for (struct mm__thread *thread = stopped.first; thread;)
		thread = go_on(thread);
	end_stopping();
	mm__mutex_unlock(&mm->threads.lock, MM__ORDER_THREADS);
}

void mm__threads_for_each(struct mm *mm, void (*visit)(struct mm__thread *thread, void *arg),
			  void *arg)
{
	mm__mutex_lock(&mm->threads.lock, MM__ORDER_THREADS);
	for (uint32_t number = 1; number <= mm->threads.size; number++) {
		struct mm__thread *thread = mm__thread_of(&mm->threads, number);

		if (thread && thread->used)
			visit(thread, arg);
	}
	mm__mutex_unlock(&mm->threads.lock, MM__ORDER_THREADS);
}

/*
 * Flushing
 */

static void wipe_slot(struct mm__tlb_entry *slot, uint64_t start, uint64_t end)
{
	if (slot->page > start && slot->page <= end)
		slot->page = 0;
}

/*
 * Looks only at slots where a page of [start, end) can be, because each look at another thread's
 * slot moves a cache line.
 */
static void wipe(struct mm__thread *thread, uint64_t start, uint64_t end)
{
	uint64_t pages = (end - start) >> MM_PAGE_SHIFT;

	if (pages > MM__TLB_ENTRIES)
		pages = MM__TLB_ENTRIES;
	for (uint64_t i = 0; i < pages; i++)
		wipe_slot(mm__tlb_slot(thread, start + (i << MM_PAGE_SHIFT)), start, end);
}

static void wipe_own(struct mm__thread *thread, uint64_t start, uint64_t end)
{
	mm__thread_enter(thread);
	wipe(thread, start, end);
	mm__thread_leave(thread);
}

static bool in_set(const struct mm__thread_set *set, uint32_t number)
{
	bool found = set->all;

	for (unsigned int i = 0; i < set->count && !found; i++)
		found = set->number[i] == number;
	return found;
}

/* A thread that begins afterwards finds the page table as the caller has changed it. */
static void stop_all_others(struct stopped *stopped, struct mm *mm, const struct mm__thread *self)
{
	mm__mutex_lock(&mm->threads.lock, MM__ORDER_THREADS);
	begin_stopping(stopped);
	stop_used(stopped, &mm->threads, self);
	mm__mutex_unlock(&mm->threads.lock, MM__ORDER_THREADS);
}

/*
 * If the thread with a number has ended, its state is unused or belongs to a later thread. To
 * interrupt it does no harm.
 */
static void stop_set(struct stopped *stopped, const struct mm *mm, const struct mm__thread *self,
		     const struct mm__thread_set *set)
{
	begin_stopping(stopped);
	for (unsigned int i = 0; i < set->count; i++)
		if (set->number[i] != self->number)
			stop(stopped, mm__thread_of(&mm->threads, set->number[i]));
}

static void flush_others(struct mm *mm, const struct mm__thread *self,
			 const struct mm__thread_set *set, uint64_t start, uint64_t end)
{
	struct stopped stopped;

	if (set->all)
		stop_all_others(&stopped, mm, self);
	else
		stop_set(&stopped, mm, self, set);
	pass_fence(&stopped);
	for (struct mm__thread *thread = stopped.first; thread;) {
		wait_stopped(thread);
		wipe(thread, start, end);
		thread = go_on(thread);
	}
	end_stopping();
}

void mm__tlb_flush(struct mm *mm, struct mm__thread *thread, const struct mm__thread_set *set,
		   uint64_t start, uint64_t end)
{
	bool own = in_set(set, thread->number);

	if (own)
		wipe_own(thread, start, end);
	if (MM__LOCKING && (set->all || set->count > (own ? 1u : 0u)))
		flush_others(mm, thread, set, start, end);
}

/* Interrupts one thread. The caller holds the attach lock, so the thread does not end. */
static void stop_one(struct mm__thread *thread)
{
	struct stopped stopped;

	begin_stopping(&stopped);
	stop(&stopped, thread);
	pass_fence(&stopped);
	wait_stopped(thread);
}

static void let_one_go_on(struct mm__thread *thread)
{
	(void)go_on(thread);
	end_stopping();
}

#ifdef MMRANGE_CHECKED
static bool has_in_tlb(const struct mm__thread *thread, const struct mm__frame *frame)
{
	for (unsigned int i = 0; i < MM__TLB_ENTRIES; i++)
		if (thread->tlb[i].page && !(thread->tlb[i].entry & MM__FILE) &&
		    mm__entry_frame(thread->tlb[i].entry) == frame)
			return true;
	return false;
}

void mm__check_unreachable(struct mm__frames *pool, struct mm__frame *const *frames, unsigned int n)
{
	lock_attach();
	for (struct mm__thread *thread = n ? pool->threads : NULL; thread;
	     thread = thread->next_of_pool) {
		stop_one(thread);
		for (unsigned int i = 0; i < n; i++)
			mm__check(!has_in_tlb(thread, frames[i]),
				  "a page is freed that a thread can still reach");
		let_one_go_on(thread);
	}
	unlock_attach();
}
#endif

/*
 * Frames
 */

static void empty_stopped(struct mm__thread *thread)
{
	/*
	 * The count includes each frame that was put in before this call. The call need not find
	 * frames that are put in later.
	 */
	if (!mm__frame_cache_count(&thread->cache))
		return;
	stop_one(thread);
	mm__frame_cache_empty(thread->mm->frames, &thread->cache);
	let_one_go_on(thread);
}

/*
 * Loads a batch from the depot, whose lock is held. Makes new frames before mm__thread_enter(): see
 * wait_stopped().
 */
static bool load_batch(struct mm__thread *thread)
{
	bool loaded;

	mm__frames_stock(thread->mm->frames);
	mm__thread_enter(thread);
	loaded = mm__frame_cache_load(thread->mm->frames, &thread->cache);
	mm__thread_leave(thread);
	return loaded;
}

/* Gives the free frames of all threads to the depot. Its lock and the attach lock are held. */
static void empty_caches(struct mm__frames *pool)
{
	for (struct mm__thread *thread = pool->threads; thread; thread = thread->next_of_pool)
		empty_stopped(thread);
}

void mm__thread_reclaim(struct mm__thread *thread)
{
	struct mm__frames *pool = thread->mm->frames;

	mm__order_may_block("memory is waited for");
	/* Unmapped shared memory gives its frames back when its last VMA is freed through RCU. */
	if (atomic_load_explicit(&pool->shared, memory_order_relaxed))
		mm__rcu_barrier();
	lock_attach();
	mm__frames_lock(pool);
	empty_caches(pool);
	mm__frames_unlock(pool);
	unlock_attach();
}

/* Takes a batch from the depot, with the free frames of all threads in it. False: there is none. */
static bool load_last(struct mm__thread *thread)
{
	struct mm__frames *pool = thread->mm->frames;
	bool loaded;

	lock_attach();
	mm__frames_lock(pool);
	empty_caches(pool);
	loaded = load_batch(thread);
	mm__frames_unlock(pool);
	unlock_attach();
	return loaded;
}

struct mm__frame *mm__pool_take_frame(struct mm__frames *pool)
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

int mm__thread_refill(struct mm__thread *thread)
{
	struct mm__frames *pool = thread->mm->frames;
	bool loaded;

	mm__frames_lock(pool);
	loaded = load_batch(thread);
	mm__frames_unlock(pool);
	if (loaded || load_last(thread))
		return 0;
	mm__thread_reclaim(thread);
	return load_last(thread) ? 0 : ENOMEM;
}

/*
 * Drops one reference of each frame. Leaves in the array those frames that are free now and come
 * from this pool, and returns their number.
 */
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

static void make_room(struct mm__thread *thread)
{
	struct mm__frames *pool = thread->mm->frames;

	mm__frames_lock(pool);
	mm__thread_enter(thread);
	mm__frame_cache_make_room(pool, &thread->cache);
	mm__thread_leave(thread);
	mm__frames_unlock(pool);
}

void mm__thread_drop_frames(struct mm__thread *thread, struct mm__frame **frames, unsigned int n)
{
	unsigned int i = 0;

	n = drop(thread->mm->frames, frames, n);
	mm__check_unreachable(thread->mm->frames, frames, n);
	while (i < n) {
		mm__thread_enter(thread);
		while (i < n && mm__frame_cache_put(&thread->cache, frames[i]))
			i++;
		mm__thread_leave(thread);
		if (i < n)
			make_room(thread);
	}
}

/*
 * Counters
 */

void mm__events(struct mm *mm, uint64_t sums[MM__NR_EVENTS])
{
	struct mm__threads *threads = &mm->threads;

	mm__mutex_lock(&threads->lock, MM__ORDER_THREADS);
	memcpy(sums, threads->past, sizeof(threads->past));
	for (uint32_t number = 1; number <= threads->size; number++) {
		const struct mm__thread *thread = mm__thread_of(threads, number);

		for (unsigned int event = 0; thread && event < MM__NR_EVENTS; event++)
			sums[event] +=
				atomic_load_explicit(&thread->events[event], memory_order_relaxed);
	}
	mm__mutex_unlock(&threads->lock, MM__ORDER_THREADS);
}

uint64_t mm__frames_used(struct mm__frames *pool)
{
	uint64_t cached = 0;
	uint64_t used;

	lock_attach();
	mm__frames_lock(pool);
	for (struct mm__thread *thread = pool->threads; thread; thread = thread->next_of_pool)
		cached += mm__frame_cache_count(&thread->cache);
	used = mm__frames_handed_out(pool);
	mm__frames_unlock(pool);
	unlock_attach();
	/* A frame that moves from one cache to another meanwhile may be counted in both. */
	return used > cached ? used - cached : 0;
}
