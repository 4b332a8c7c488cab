/* SPDX-License-Identifier: MIT */
#include "table_lock.h"

#include "thread.h"

#include <time.h>

#define SPINS 100u

static bool spin(struct mm__table_lock *lock)
{
	unsigned int spins = mmrange__spinning_helps() ? SPINS : 0;

	while (spins--) {
		mmrange__relax();
		/* relaxed: locking the word orders */
		if (!atomic_load_explicit(&lock->word, memory_order_relaxed) &&
		    mm__table_lock_try(lock))
			return true;
	}
	return false;
}

void mm__table_lock_wait(struct mm__table_lock *lock)
{
	if (spin(lock))
		return;
	/* relaxed [TL-W1]: ordered by the fence */
	atomic_fetch_add_explicit(&lock->waiters, 1, memory_order_relaxed);
	mm__heavy_fence();
	/* [TL-W2] */
	while (!mm__table_lock_try(lock))
		mmrange__park(&lock->word, 1, CLOCK_MONOTONIC, NULL);
	atomic_fetch_sub_explicit(&lock->waiters, 1, memory_order_relaxed);
}

void mm__table_lock_wake(struct mm__table_lock *lock)
{
	mmrange__unpark(&lock->word, false);
}
