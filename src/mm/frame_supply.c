/* SPDX-License-Identifier: MIT */
#include "frame_supply.h"

#include "attach.h"
#include "interrupt.h"

#include <errno.h>

#ifdef MMRANGE_CHECKED
static bool has_in_tlb(const struct mm__thread *thread, const struct mm__frame *frame)
{
	for (unsigned int i = 0; i < MM__TLB_ENTRIES; i++)
		if (thread->tlb[i].page && !(thread->tlb[i].entry & MM__FILE) &&
		    mm__entry_frame(thread->tlb[i].entry) == frame)
			return true;
	return false;
}

/*
 * Stops the process if a thread may have one of these frames, which have no references, in its TLB.
 * The caller holds neither the attach lock nor a lock below it.
 */
static void check_unreachable(struct mm__frames *pool, struct mm__frame *const *frames,
			      unsigned int n)
{
	mm__attach_lock();
	for (struct mm__thread *thread = n ? pool->threads : NULL; thread;
	     thread = thread->next_of_pool) {
		mm__interrupt_one(thread);
		for (unsigned int i = 0; i < n; i++)
			mm__check(!has_in_tlb(thread, frames[i]),
				  "a page is freed that a thread can still reach");
		mm__interrupt_resume_one(thread);
	}
	mm__attach_unlock();
}
#else
static void check_unreachable(struct mm__frames *pool, struct mm__frame *const *frames,
			      unsigned int n)
{
	(void)pool;
	(void)frames;
	(void)n;
}
#endif

static void empty_interrupted(struct mm__thread *thread)
{
	/*
	 * The count includes each frame that was put in before this call. The call need not find
	 * frames that are put in later.
	 */
	if (!mm__frame_cache_count(&thread->cache))
		return;
	mm__interrupt_one(thread);
	mm__frame_cache_empty(thread->mm->frames, &thread->cache);
	mm__interrupt_resume_one(thread);
}

/*
 * Loads a batch from the depot, whose lock is held. Makes new frames before mm__thread_enter(): see
 * mm__interrupt_await().
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
		empty_interrupted(thread);
}

/* Takes both locks, and gives the free frames of all threads to the depot. */
static void collect_frames(struct mm__frames *pool)
{
	mm__attach_lock();
	mm__frames_lock(pool);
	empty_caches(pool);
}

static void end_collecting(struct mm__frames *pool)
{
	mm__frames_unlock(pool);
	mm__attach_unlock();
}

void mm__thread_reclaim(struct mm__thread *thread)
{
	struct mm__frames *pool = thread->mm->frames;

	mm__order_may_block("memory is waited for");
	/* Unmapped shared memory gives its frames back when its last VMA is freed through RCU. */
	if (atomic_load_explicit(&pool->shared, memory_order_relaxed))
		mm__rcu_barrier();
	collect_frames(pool);
	end_collecting(pool);
}

/* Takes a batch from the depot, with the free frames of all threads in it. False: there is none. */
static bool load_last(struct mm__thread *thread)
{
	struct mm__frames *pool = thread->mm->frames;
	bool loaded;

	collect_frames(pool);
	loaded = load_batch(thread);
	end_collecting(pool);
	return loaded;
}

struct mm__frame *mm__pool_take_frame(struct mm__frames *pool)
{
	struct mm__frame *frame = mm__frame_take(pool);

	if (frame)
		return frame;
	collect_frames(pool);
	frame = mm__frames_take_one(pool);
	end_collecting(pool);
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
static unsigned int drop_references(struct mm__frames *pool, struct mm__frame **frames,
				    unsigned int n)
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

	n = drop_references(thread->mm->frames, frames, n);
	check_unreachable(thread->mm->frames, frames, n);
	while (i < n) {
		mm__thread_enter(thread);
		while (i < n && mm__frame_cache_put(&thread->cache, frames[i]))
			i++;
		mm__thread_leave(thread);
		if (i < n)
			make_room(thread);
	}
}

void mm__frame_put(struct mm__frame *frame)
{
	struct mm__frames *pool = mm__frame_pool(frame);
	struct mm__frame_list list = { NULL, 0 };

	if (!mm__frame_drop(frame))
		return;
	check_unreachable(pool, &frame, 1);
	mm__frame_list_add(&list, frame);
	mm__frames_lock(pool);
	mm__frames_give(pool, &list);
	mm__frames_unlock(pool);
}

uint64_t mm__frames_used(struct mm__frames *pool)
{
	uint64_t cached = 0;
	uint64_t used;

	mm__attach_lock();
	mm__frames_lock(pool);
	for (struct mm__thread *thread = pool->threads; thread; thread = thread->next_of_pool)
		cached += mm__frame_cache_count(&thread->cache);
	used = mm__frames_handed_out(pool);
	mm__frames_unlock(pool);
	mm__attach_unlock();
	/* A frame that moves from one cache to another meanwhile may be counted in both. */
	return used > cached ? used - cached : 0;
}
