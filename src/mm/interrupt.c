/* SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include "backoff.h"

/*
 * For the check of the lock order, all interrupt locks are one, because it does not know numbers.
 */
void mm__interrupt_begin(struct mm__interrupted *interrupted)
{
	*interrupted = (struct mm__interrupted){ .fenced = true };
	mm__order_take(MM__ORDER_INTERRUPT, 0, 0);
}

void mm__interrupt_end(void)
{
	mm__order_drop(MM__ORDER_INTERRUPT);
}

void mm__interrupt(struct mm__interrupted *interrupted, struct mm__thread *thread)
{
	mm__check(!interrupted->last || interrupted->last->number < thread->number,
		  "threads are interrupted in another order than that of their numbers");
	if (pthread_mutex_trylock(&thread->interrupt_lock)) {
		(void)mm__thread_spin(thread);
		pthread_mutex_lock(&thread->interrupt_lock);
	}
	/* relaxed [THREAD-S1]: ordered by the fence */
	if (!(atomic_fetch_or_explicit(&thread->state, MM__THREAD_INTERRUPTED,
				       memory_order_relaxed) &
	      MM__THREAD_FENCED))
		interrupted->fenced = false;
	thread->next_interrupted = NULL;
	if (interrupted->last)
		interrupted->last->next_interrupted = thread;
	else
		interrupted->first = thread;
	interrupted->last = thread;
}

void mm__interrupt_fence(const struct mm__interrupted *interrupted)
{
	if (interrupted->fenced)
		mmrange__full_fence();
	else
		mmrange__heavy_fence();
}

void mm__interrupt_await(struct mm__thread *thread)
{
	struct mm__backoff backoff = { 0 };

	/*
	 * acquire [THREAD-S2]: pairs with [THREAD-E3]. While it is busy, the thread copies a page
	 * at most, unless the system preempts it.
	 */
	while (atomic_load_explicit(&thread->busy, memory_order_acquire))
		mm__backoff(&backoff);
}

struct mm__thread *mm__interrupt_resume(struct mm__thread *thread)
{
	struct mm__thread *next = thread->next_interrupted;

	thread->fenced_entries = 0;
	/*
	 * release [THREAD-S3]: pairs with [THREAD-E2]. On a system without heavy fences, the light
	 * fence is a full fence, and no thread needs to be fenced.
	 */
	atomic_store_explicit(&thread->state, mmrange__fence_is_heavy ? MM__THREAD_FENCED : 0,
			      memory_order_release);
	pthread_mutex_unlock(&thread->interrupt_lock);
	return next;
}

void mm__interrupt_all_but(struct mm__interrupted *interrupted, const struct mm__threads *threads,
			   const struct mm__thread *but)
{
	for (uint32_t number = 1; number <= threads->size; number++) {
		struct mm__thread *thread = mm__thread_of(threads, number);

		if (thread && thread->used && thread != but)
			mm__interrupt(interrupted, thread);
	}
}

void mm__interrupt_one(struct mm__thread *thread)
{
	struct mm__interrupted interrupted;

	mm__interrupt_begin(&interrupted);
	mm__interrupt(&interrupted, thread);
	mm__interrupt_fence(&interrupted);
	mm__interrupt_await(thread);
}

void mm__interrupt_resume_one(struct mm__thread *thread)
{
	(void)mm__interrupt_resume(thread);
	mm__interrupt_end();
}

void mm__threads_interrupt_all(struct mm *mm, void (*visit)(struct mm__thread *thread, void *arg),
			       void *arg)
{
	struct mm__interrupted interrupted;

	mm__mutex_lock(&mm->threads.lock, MM__ORDER_THREADS);
	mm__interrupt_begin(&interrupted);
	mm__interrupt_all_but(&interrupted, &mm->threads, NULL);
	mm__interrupt_fence(&interrupted);
	for (struct mm__thread *thread = interrupted.first; thread;
	     thread = thread->next_interrupted)
		mm__interrupt_await(thread);
	for (struct mm__thread *thread = interrupted.first; thread;
	     thread = thread->next_interrupted)
		visit(thread, arg);
	for (struct mm__thread *thread = interrupted.first; thread;)
		thread = mm__interrupt_resume(thread);
	mm__interrupt_end();
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
