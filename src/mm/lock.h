/* SPDX-License-Identifier: MIT */
/*
 * lock - the mutexes of an address space, and the order in which a thread may take them, which the
 * checked build (MMRANGE_CHECKED) enforces:
 *
 *	RANGE   the range lock, or what stands in for it; never while one of those below is held
 *	ATTACH  which threads use which address spaces
 *	ROOM    how many VMAs there may be, see room.c
 *	MM      the VMA tree lock
 *	LEAF    border nodes of the VMA tree: any number together with MM, else one, or two of which the second is
 *	        only tried; see vma_border.c
 *	TABLE   page tables, and entries of the lowest ones: upper before lower, lower address first
 *	DEPOT   free frames
 *	CPUS    the list of the threads of an address space
 *	STOP    threads of an address space, each of which waits for its own: lower numbers first
 *	RCU     grace periods; inside it only the lock of what a thread has given away
 *
 * A lock may be taken while locks above it are held, and not while one of its own kind or below it
 * is, but for tables. Nothing that blocks, such as reading a file, is done while MM or one below it
 * is held.
 *
 * MM__FLOOR builds an address space for one thread, without any lock: what the benchmarks call the
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
/* order.c. The address is that of a table's range, else 0. */
void mm__order_take(enum mm__order order, unsigned int level, uint64_t addr);
void mm__order_drop(enum mm__order order);
/* Something may block: a file, or a range. */
void mm__order_may_block(const char *what);
/* Says it on stderr, and ends the process. */
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
#define MM__LOCKING 0
#else
#define MM__LOCKING 1
#endif

static inline void mm__mutex_lock(pthread_mutex_t *mutex, enum mm__order order)
{
	if (!MM__LOCKING)
		return;
	mm__order_take(order, 0, 0);
	pthread_mutex_lock(mutex);
}

static inline void mm__mutex_unlock(pthread_mutex_t *mutex, enum mm__order order)
{
	if (!MM__LOCKING)
		return;
	pthread_mutex_unlock(mutex);
	mm__order_drop(order);
}

#endif
