/* SPDX-License-Identifier: MIT */
#include "tree_lock.h"

#include "hold_times.h"
#include "platform/probe.h"

void mm__tree_lock(struct mm *mm)
{
	mm__mutex_lock(&mm->tree_lock, MM__ORDER_TREE);
	/* Other threads may take VMAs out in place while this one uses them. */
	mm__rcu_read_lock();
	mm->tree_lock_taken = mmrange__now();
}

void mm__tree_unlock(struct mm *mm, struct mm__thread *thread)
{
	/* Measured before the unlock, because the time to wake waiters is no hold time. */
	uint64_t held = mmrange__now() - mm->tree_lock_taken;

	MMRANGE__PROBE2(mm_tree_unlock, mm, held);
	mm__rcu_read_unlock();
	mm__mutex_unlock(&mm->tree_lock, MM__ORDER_TREE);
	if (thread)
		mm__count(thread, MM__HOLD_TIME + mm__hold_time_index(held));
}
