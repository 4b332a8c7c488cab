/* SPDX-License-Identifier: MIT */
/*
 * floor - what stands in for the ways in which threads synchronise, in an address space for one
 * thread (MM__FLOOR). The benchmarks call it the floor: what the work costs without locks, fences,
 * sequence counts and grace periods. bench/floor.c has the functions.
 */
#ifndef MM_FLOOR_H
#define MM_FLOOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mm__table_lock;
struct mm__thread;
struct mm__vma;

/* lock.h */
static inline void mm__mutex_lock(pthread_mutex_t *mutex, int order)
{
	(void)mutex;
	(void)order;
}

static inline void mm__mutex_unlock(pthread_mutex_t *mutex, int order)
{
	(void)mutex;
	(void)order;
}

/* table_lock.h */
static inline bool mm__table_lock_try(struct mm__table_lock *lock)
{
	(void)lock;
	return true;
}

static inline void mm__table_lock_take(struct mm__table_lock *lock)
{
	(void)lock;
}

static inline void mm__table_lock_drop(struct mm__table_lock *lock)
{
	(void)lock;
}

/* entry_lock.h */
static inline bool mm__entry_lock_try(_Atomic(uint64_t) *entry, uint64_t seen)
{
	return atomic_load_explicit(entry, memory_order_relaxed) == seen;
}

static inline void mm__entry_lock_drop(_Atomic(uint64_t) *entry, _Atomic(uint32_t) *waiters,
				       uint64_t value)
{
	(void)waiters;
	atomic_store_explicit(entry, value, memory_order_relaxed);
}

static inline bool mm__entry_lock_replace(_Atomic(uint64_t) *entry, uint64_t seen, uint64_t value)
{
	(void)seen;
	atomic_store_explicit(entry, value, memory_order_relaxed);
	return true;
}

/* thread.h */
static inline void mm__thread_enter(struct mm__thread *thread)
{
	(void)thread;
}

static inline void mm__thread_leave(struct mm__thread *thread)
{
	(void)thread;
}

/* rcu.h */
static inline void mm__rcu_read_lock(void)
{
}

static inline void mm__rcu_read_unlock(void)
{
}

/* vma.h */
static inline bool mm__vma_begin(const struct mm__vma *vma, uint64_t *seq)
{
	(void)vma;
	*seq = 0;
	return true;
}

static inline bool mm__vma_unchanged(const struct mm__vma *vma, uint64_t seq)
{
	(void)vma;
	(void)seq;
	return true;
}

#endif
