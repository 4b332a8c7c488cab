/* SPDX-License-Identifier: MIT */
#include "table_lock.h"

#include <time.h>

static bool spin_for_lock(struct mm__table_lock *lock)
{
	unsigned int spins = 0;

	/* relaxed: locking the word orders */
	while (mmrange__spin(&spins))
		if (!atomic_load_explicit(&lock->word, memory_order_relaxed) &&
		    mm__table_lock_try(lock))
			return true;
	return false;
}

void mm__table_lock_wait(struct mm__table_lock *lock)
{
	if (spin_for_lock(lock))
		return;
	/* relaxed [TL-W1]: ordered by the fence */
	atomic_fetch_add_explicit(&lock->waiters, 1, memory_order_relaxed);
	mmrange__heavy_fence();
	/* [TL-W2] */
	while (!mm__table_lock_try(lock))
		mmrange__park(&lock->word, 1, CLOCK_MONOTONIC, NULL);
	atomic_fetch_sub_explicit(&lock->waiters, 1, memory_order_relaxed);
}

void mm__table_lock_wake(struct mm__table_lock *lock)
{
	mmrange__unpark(&lock->word, false);
}
