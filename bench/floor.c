/* SPDX-License-Identifier: MIT */
/*
 * For an address space for one thread, see src/mm/floor.h: in place of entry_lock.c, table_lock.c,
 * rcu.c, locking.c and tree_lock.c.
 */
#include "mm/entry_lock.h"
#include "mm/locking.h"
#include "mm/rcu.h"
#include "mm/tree_lock.h"

#include <stdlib.h>

/*
 * entry_lock.h
 */

/* No other thread has an entry locked. */
void mm__entry_lock_wait(_Atomic(uint64_t) *entry, _Atomic(uint32_t) *waiters)
{
	(void)entry;
	(void)waiters;
	abort();
}

void mm__entry_lock_drop_all(_Atomic(uint64_t) *entry, const uint16_t *locked, unsigned int n,
			     _Atomic(uint32_t) *waiters)
{
	for (unsigned int i = 0; i < n; i++)
		mm__entry_lock_drop(&entry[locked[i]], waiters, 0);
}

/*
 * rcu.h
 */

MMRANGE__THREAD_LOCAL struct mm__rcu_thread *mm__rcu_self;

void mm__rcu_begin_thread(struct mm__rcu_thread *thread)
{
	mm__rcu_self = thread;
}

void mm__rcu_end_thread(struct mm__rcu_thread *thread)
{
	struct mm__garbage *kept;

	mm__rcu_self = NULL;
	while ((kept = thread->kept)) {
		thread->kept = kept->next;
		free(kept);
	}
}

void mm__rcu_defer(struct mm__garbage *list, uint64_t weight)
{
	(void)weight;
	while (list) {
		struct mm__garbage *garbage = list;

		list = list->next;
		if (garbage->free)
			garbage->free(garbage);
		else
			free(garbage);
	}
}

void mm__rcu_free(struct mm__garbage *list)
{
	mm__rcu_defer(list, 0);
}

void mm__rcu_throttle(void)
{
}

void mm__rcu_wait(void)
{
}

void mm__rcu_poll(void)
{
}

void mm__rcu_barrier(void)
{
}

void mm__rcu_before_fork(void)
{
}

void mm__rcu_after_fork(bool child)
{
	(void)child;
}

/*
 * locking.h
 */

int mm__locking_init(struct mm *mm)
{
	return range_lock_init(&mm->range_lock, NULL);
}

void mm__locking_destroy(struct mm *mm)
{
	(void)range_lock_destroy(&mm->range_lock);
}

bool mm__knows_ranges(const struct mm *mm)
{
	(void)mm;
	return true;
}

void mm__range_acquire(struct mm *mm, struct range_hold *range, uint64_t start, uint64_t end,
		       enum range_mode mode)
{
	(void)mm;
	(void)range;
	(void)start;
	(void)end;
	(void)mode;
}

int mm__range_try(struct mm *mm, struct range_hold *range, uint64_t start, uint64_t end)
{
	(void)mm;
	(void)range;
	(void)start;
	(void)end;
	return 0;
}

void mm__range_acquire_all(struct mm *mm, struct range_request *requests, unsigned int n)
{
	(void)mm;
	(void)requests;
	(void)n;
}

void mm__range_release(struct mm *mm, struct range_hold *range)
{
	(void)mm;
	(void)range;
}

/*
 * tree_lock.h
 */

void mm__tree_lock(struct mm *mm)
{
	(void)mm;
}

void mm__tree_unlock(struct mm *mm, struct mm__thread *thread)
{
	(void)mm;
	(void)thread;
}
