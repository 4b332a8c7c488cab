/* SPDX-License-Identifier: MIT */
#include "stepper.h"
#include "mm/attach.h"
#include "mm/frame_supply.h"
#include "mm/tlb.h"
#include "mm/vma_node.h"

void (*step_at_fence)(void);

static _Thread_local struct stepper *self;

/*
 * Steps
 */

static void stop_at(enum point point)
{
	if (!self || !(self->points & point))
		return;
	self->at = point;
	CHECK_EQ(sem_post(&self->stopped), 0);
	sem_await(&self->go);
}

static void *run(void *arg)
{
	struct stepper *thread = arg;

	self = thread;
	CHECK(mm__os_thread_attach());
	self->run(self);
	/*
	 * The library frees the thread's state at its end. From here on, no step may look at that
	 * state.
	 */
	self = NULL;
	thread->at = ENDED;
	CHECK_EQ(sem_post(&thread->stopped), 0);
	return NULL;
}

void step_start(struct stepper *thread, void (*what)(struct stepper *self), struct mm *mm)
{
	*thread = (struct stepper){ .run = what, .mm = mm, .points = PAUSED };
	CHECK_EQ(sem_init(&thread->stopped, 0, 0), 0);
	CHECK_EQ(sem_init(&thread->go, 0, 0), 0);
	thread->thread = thread_start(run, thread);
	step_await(thread);
}

void step_on(struct stepper *thread, unsigned int points)
{
	if (thread->ended)
		return;
	thread->points = points | PAUSED;
	CHECK_EQ(sem_post(&thread->go), 0);
}

enum point step_await(struct stepper *thread)
{
	if (!thread->ended)
		sem_await(&thread->stopped);
	thread->ended = thread->at == ENDED;
	return thread->at;
}

enum point step_to(struct stepper *thread, unsigned int points)
{
	step_on(thread, points);
	return step_await(thread);
}

void step_await_end(struct stepper *thread)
{
	CHECK_EQ(step_await(thread), ENDED);
	thread_join(thread->thread);
	CHECK_EQ(sem_destroy(&thread->stopped), 0);
	CHECK_EQ(sem_destroy(&thread->go), 0);
}

void step_to_end(struct stepper *thread)
{
	step_on(thread, 0);
	step_await_end(thread);
}

void step_to_ends(struct stepper *first, struct stepper *waiter)
{
	step_on(waiter, 0);
	step_to_end(first);
	step_await_end(waiter);
}

void step_interrupt(struct stepper *thread)
{
	atomic_store(&thread->mm_thread->state, MM__THREAD_INTERRUPTED);
	CHECK_EQ(step_to(thread, AT_RESUME_WAIT), AT_RESUME_WAIT);
}

void step_resume(struct stepper *thread)
{
	atomic_store(&thread->mm_thread->state, 0);
}

void start_write_fault(struct stepper *thread, struct mm *mm, enum point point)
{
	step_start(thread, write_fault, mm);
	CHECK_EQ(step_to(thread, point), point);
}

void write_fault(struct stepper *thread)
{
	step_ready(thread);
	thread->result = touch(thread->mm, AT(0), W);
}

void step_pause(struct stepper *thread)
{
	CHECK(thread == self);
	stop_at(PAUSED);
}

void step_ready(struct stepper *thread)
{
	thread->mm_thread = mm__this_thread(thread->mm);
	CHECK(thread->mm_thread);
	CHECK_EQ(mm__thread_refill(thread->mm_thread), 0);
	step_pause(thread);
}

/*
 * Points
 */

bool __real_mm__vma_tree_look(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m,
			      struct mm__vma_look *look);
bool __wrap_mm__vma_tree_look(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m,
			      struct mm__vma_look *look);
bool __real_mm__vma_tree_at(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m);
bool __wrap_mm__vma_tree_at(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m);
void __real_mm__table_lock_wait(struct mm__table_lock *lock);
void __wrap_mm__table_lock_wait(struct mm__table_lock *lock);
bool __real_mm__entry_lock_try(_Atomic(uint64_t) *entry, uint64_t seen);
bool __wrap_mm__entry_lock_try(_Atomic(uint64_t) *entry, uint64_t seen);
void __real_mm__entry_lock_wait(_Atomic(uint64_t) *entry, _Atomic(uint32_t) *waiters);
void __wrap_mm__entry_lock_wait(_Atomic(uint64_t) *entry, _Atomic(uint32_t) *waiters);
void __real_mm__entry_lock_wake(_Atomic(uint64_t) *entry);
void __wrap_mm__entry_lock_wake(_Atomic(uint64_t) *entry);
void __real_mm__thread_wait_resumed(struct mm__thread *thread);
void __wrap_mm__thread_wait_resumed(struct mm__thread *thread);
struct mm__frame *__real_mm__frame_cache_get(struct mm__frame_cache *cache);
struct mm__frame *__wrap_mm__frame_cache_get(struct mm__frame_cache *cache);
int __real_range_lock(struct range_lock *lock, struct range_hold *range, uint64_t start,
		      uint64_t end, enum range_mode mode);
int __wrap_range_lock(struct range_lock *lock, struct range_hold *range, uint64_t start,
		      uint64_t end, enum range_mode mode);
void __real_range_unlock(struct range_lock *lock, struct range_hold *range);
void __wrap_range_unlock(struct range_lock *lock, struct range_hold *range);
void __real_mm__tlb_flush(struct mm *mm, struct mm__thread *thread,
			  const struct mm__thread_set *set, uint64_t start, uint64_t end);
void __wrap_mm__tlb_flush(struct mm *mm, struct mm__thread *thread,
			  const struct mm__thread_set *set, uint64_t start, uint64_t end);
void __real_mm__pages_zap(struct mm *mm, struct mm__thread *thread, uint64_t start, uint64_t end);
void __wrap_mm__pages_zap(struct mm *mm, struct mm__thread *thread, uint64_t start, uint64_t end);
void __real_mm__pages_move(struct mm *mm, struct mm__thread *thread, uint64_t from, uint64_t to,
			   uint64_t length);
void __wrap_mm__pages_move(struct mm *mm, struct mm__thread *thread, uint64_t from, uint64_t to,
			   uint64_t length);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_sched_yield(void);
int __wrap_sched_yield(void);
bool __real_mmrange__try_heavy_fence(void);
bool __wrap_mmrange__try_heavy_fence(void);
void __real_free(void *memory);
void __wrap_free(void *memory);
void __real_mm__vma_drop(struct mm__garbage *garbage);
void __wrap_mm__vma_drop(struct mm__garbage *garbage);

/* A thread that others may have to interrupt must not wait for a thread that interrupts it. */
static void check_interruptible(void)
{
	if (self && self->mm_thread && atomic_load(&self->mm_thread->busy))
		test_fail(__FILE__, __LINE__, "a thread waits that may have to be interrupted");
}

bool __wrap_mm__vma_tree_at(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m)
{
	bool found = __real_mm__vma_tree_at(tree, addr, m);

	if (self && found)
		self->vma = m->vma;
	if (found)
		stop_at(AT_VMA);
	return found;
}

bool __wrap_mm__vma_tree_look(const struct mm__vma_tree *tree, uint64_t addr, struct mm__mapping *m,
			      struct mm__vma_look *look)
{
	bool found = __real_mm__vma_tree_look(tree, addr, m, look);

	if (self && found)
		self->vma = m->vma;
	if (found)
		stop_at(AT_VMA);
	return found;
}

void __wrap_mm__table_lock_wait(struct mm__table_lock *lock)
{
	check_interruptible();
	__real_mm__table_lock_wait(lock);
}

bool __wrap_mm__entry_lock_try(_Atomic(uint64_t) *entry, uint64_t seen)
{
	bool locked;

	stop_at(AT_ENTRY);
	locked = __real_mm__entry_lock_try(entry, seen);
	if (locked)
		stop_at(AFTER_ENTRY);
	return locked;
}

void __wrap_mm__entry_lock_wait(_Atomic(uint64_t) *entry, _Atomic(uint32_t) *waiters)
{
	check_interruptible();
	stop_at(AT_ENTRY_WAIT);
	__real_mm__entry_lock_wait(entry, waiters);
}

void __wrap_mm__entry_lock_wake(_Atomic(uint64_t) *entry)
{
	stop_at(AT_ENTRY_WAKE);
	__real_mm__entry_lock_wake(entry);
}

void __wrap_mm__thread_wait_resumed(struct mm__thread *thread)
{
	stop_at(AT_RESUME_WAIT);
	__real_mm__thread_wait_resumed(thread);
}

struct mm__frame *__wrap_mm__frame_cache_get(struct mm__frame_cache *cache)
{
	stop_at(AT_FRAME);
	return __real_mm__frame_cache_get(cache);
}

int __wrap_range_lock(struct range_lock *lock, struct range_hold *range, uint64_t start,
		      uint64_t end, enum range_mode mode)
{
	check_interruptible();
	stop_at(AT_RANGE_LOCK);
	if (self && self->points & AT_RANGE_WAIT) {
		if (!range_trylock(lock, range, start, end, mode))
			return 0;
		stop_at(AT_RANGE_WAIT);
	}
	return __real_range_lock(lock, range, start, end, mode);
}

void __wrap_range_unlock(struct range_lock *lock, struct range_hold *range)
{
	__real_range_unlock(lock, range);
	stop_at(AFTER_RANGE);
}

void __wrap_mm__tlb_flush(struct mm *mm, struct mm__thread *thread,
			  const struct mm__thread_set *set, uint64_t start, uint64_t end)
{
	stop_at(AT_FLUSH);
	__real_mm__tlb_flush(mm, thread, set, start, end);
	stop_at(AFTER_FLUSH);
}

void __wrap_mm__pages_zap(struct mm *mm, struct mm__thread *thread, uint64_t start, uint64_t end)
{
	stop_at(AT_ZAP);
	__real_mm__pages_zap(mm, thread, start, end);
	stop_at(AFTER_ZAP);
}

void __wrap_mm__pages_move(struct mm *mm, struct mm__thread *thread, uint64_t from, uint64_t to,
			   uint64_t length)
{
	stop_at(AT_MOVE);
	__real_mm__pages_move(mm, thread, from, to, length);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	check_interruptible();
	return __real_pthread_mutex_lock(mutex);
}

int __wrap_sched_yield(void)
{
	stop_at(AT_YIELD);
	return __real_sched_yield();
}

/*
 * Freeing
 */

static _Atomic(uintptr_t) watched;
static atomic_bool freed;

void watch_free(const void *memory)
{
	atomic_store(&freed, false);
	atomic_store(&watched, (uintptr_t)memory);
}

bool was_freed(void)
{
	return atomic_load(&freed);
}

bool __wrap_mmrange__try_heavy_fence(void)
{
	if (step_at_fence)
		step_at_fence();
	return __real_mmrange__try_heavy_fence();
}

/* The allocator may return the same memory again, which is then freed for another reason. */
static void note_free(const void *memory)
{
	uintptr_t address = (uintptr_t)memory;

	if (address && atomic_compare_exchange_strong(&watched, &address, 0))
		atomic_store(&freed, true);
}

void __wrap_free(void *memory)
{
	stop_at(AT_FREE);
	note_free(memory);
	__real_free(memory);
}

/* The thread may keep the memory for its next VMA. */
void __wrap_mm__vma_drop(struct mm__garbage *garbage)
{
	note_free(garbage);
	__real_mm__vma_drop(garbage);
}

void fill_border(struct mm *mm)
{
	for (unsigned int page = 1000; mm__root(&mm->vmas)->count < BORDER_SLOTS - 1; page += 2)
		map(mm, page, 1, RW);
}
