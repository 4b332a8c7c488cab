/* SPDX-License-Identifier: MIT */
/* Read sections cost nothing, because no grace period ends. */
#define mm__rcu_read_lock   mm__rcu_read_lock_left_out
#define mm__rcu_read_unlock mm__rcu_read_unlock_left_out
#include "mm/rcu.h"
#undef mm__rcu_read_lock
#undef mm__rcu_read_unlock

static inline void mm__rcu_read_lock(void)
{
}

static inline void mm__rcu_read_unlock(void)
{
}
