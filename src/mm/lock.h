/* SPDX-License-Identifier: MIT */
/*
 * lock - the mutexes of an address space, and the order in which a thread may take them. The
 * checked build (MMRANGE_CHECKED) enforces the order:
 *
 *	RANGE      the range lock, or the lock in place of it; never taken while a lock below is
 *	           held
 *	ATTACH     which threads use which address spaces
 *	ROOM       how many VMAs there may be, see room.c
 *	TREE       the VMA tree lock
 *	BORDER     border nodes of the VMA tree: any number together with TREE; else one, or two of
 *	           which the second is only tried, see vma_border.h
 *	TABLE      page tables, and entries of lowest tables: a higher table before a lower one, and
 *	           a lower address first
 *	DEPOT      free frames
 *	THREADS    the list of the threads of an address space
 *	INTERRUPT  per-thread states, by the thread that interrupts; an interrupted thread waits for
 *	           its own: a lower number first
 *	RCU        grace periods; inside it only the lock of a limbo
 *
 * A thread may take a lock while it holds locks above it in this list, but not while it holds one
 * of the same kind or one below. TABLE, BORDER and INTERRUPT are exceptions, as the list says.
 * While a thread holds TREE or a lock below it, it does nothing that blocks, such as reading a
 * file.
 *
 * MM__FLOOR builds an address space for one thread, without any lock. The benchmarks call it the
 * floor.
 */
#ifndef MM_LOCK_H
#define MM_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum mm__order {
	MM__ORDER_RANGE,
	MM__ORDER_ATTACH,
	MM__ORDER_ROOM,
	MM__ORDER_TREE,
	MM__ORDER_BORDER,
	MM__ORDER_TABLE,
	MM__ORDER_DEPOT,
	MM__ORDER_THREADS,
	MM__ORDER_INTERRUPT,
	MM__ORDER_RCU
};

#ifdef MMRANGE_CHECKED
/* order.c. For level and addr see struct held there; 0 for most locks. */
void mm__order_take(enum mm__order order, unsigned int level, uint64_t addr);
void mm__order_drop(enum mm__order order);
/* The caller is about to take a lock of this kind, which is not recorded. */
void mm__order_check(enum mm__order order);
/* The caller is about to do something that may block: it reads a file, or waits for memory. */
void mm__order_may_block(const char *what);
/* Writes a message to stderr and ends the process. */
void mm__breach(const char *what);

static inline void mm__check(bool right, const char *what)
{
	if (!right)
		mm__breach(what);
}
#else
static inline void mm__order_take(enum mm__order order, unsigned int level, uint64_t addr)
{
	(void)order;
	(void)level;
	(void)addr;
}

static inline void mm__order_drop(enum mm__order order)
{
	(void)order;
}

static inline void mm__order_check(enum mm__order order)
{
	(void)order;
}

static inline void mm__order_may_block(const char *what)
{
	(void)what;
}

static inline void mm__check(bool right, const char *what)
{
	(void)right;
	(void)what;
}
#endif

#ifdef MM__FLOOR
#include "floor.h"
#else
static inline void mm__mutex_lock(pthread_mutex_t *mutex, enum mm__order order)
{
	mm__order_take(order, 0, 0);
	pthread_mutex_lock(mutex);
}

static inline void mm__mutex_unlock(pthread_mutex_t *mutex, enum mm__order order)
{
	pthread_mutex_unlock(mutex);
	mm__order_drop(order);
}
#endif

#endif
