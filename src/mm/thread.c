/* SPDX-License-Identifier: MIT */
#include "thread.h"

bool mm__thread_spin(const struct mm__thread *thread)
{
	unsigned int spins = 0;

	/* relaxed: it only tells when to look again */
	while (mmrange__spin(&spins))
		if (!(atomic_load_explicit(&thread->state, memory_order_relaxed) &
		      MM__THREAD_INTERRUPTED))
			return true;
	return false;
}

void mm__thread_wait_resumed(struct mm__thread *thread)
{
	if (mm__thread_spin(thread))
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
