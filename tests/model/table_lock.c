/* SPDX-License-Identifier: MIT */
/*
 * THREADS threads lock a page table and unlock it. The lock protects plain memory: a race in it is
 * an error, as is a thread that sleeps although no thread is left to wake it.
 */
#include "model.h"

#include "mm/table_lock.c"

#include "platform/platform.c"

#ifndef THREADS
#define THREADS 2
#endif

static struct mm__table_lock table_lock;
static int data;

static void *lock_once(void *arg)
{
	model_self = (uintptr_t)arg;
	mm__table_lock_take(&table_lock);
	data++;
	mm__table_lock_drop(&table_lock);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS + 1];

	for (uintptr_t i = 1; i <= THREADS; i++)
		pthread_create(&threads[i], NULL, lock_once, (void *)i);
	for (uintptr_t i = 1; i <= THREADS; i++)
		pthread_join(threads[i], NULL);
	assert(data == THREADS);
	assert(!atomic_load_explicit(&table_lock.word, memory_order_relaxed));
	assert(!atomic_load_explicit(&table_lock.waiters, memory_order_relaxed));
	return 0;
}
