/* SPDX-License-Identifier: MIT */
/*
 * In place of liburcu's, for the harnesses: read sections cost nothing, as no grace period ends while
 * a harness runs; see mm__rcu_free() in mm.h.
 */
#ifndef TESTS_MODEL_URCU_H
#define TESTS_MODEL_URCU_H

struct rcu_head {
	struct rcu_head *next;
};

static inline void urcu_bp_read_lock(void)
{
}

static inline void urcu_bp_read_unlock(void)
{
}

#endif
