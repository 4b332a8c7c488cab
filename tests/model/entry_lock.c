/* SPDX-License-Identifier: MIT */
/*
 * THREADS threads lock an entry of a page table and unlock it. The lock protects plain memory: a
 * race in it is an error, as is a thread that sleeps although no thread is left to wake it. With
 * LOOKER, one more thread only waits until it has seen the entry unlocked.
 */
#include "model.h"

#include "mm/entry_lock.c"

#include "platform/platform.c"

#ifndef THREADS
#define THREADS 2
#endif
#ifdef LOOKER
#define LOOKERS 1
#else
#define LOOKERS 0
#endif

static _Atomic(uint64_t) entry;
static _Atomic(uint32_t) waiters;
static int data;

static uint64_t await_entry(void)
{
	uint64_t seen;

	while ((seen = atomic_load_explicit(&entry, memory_order_relaxed)) & MM__BUSY)
		mm__entry_lock_wait(&entry, &waiters);
	return seen;
}

static void *look_once(void *arg)
{
	model_self = (uintptr_t)arg;
	await_entry();
	return NULL;
}

static void *lock_once(void *arg)
{
	uint64_t seen;

	model_self = (uintptr_t)arg;
	do {
		seen = await_entry();
	} while (!mm__entry_lock_try(&entry, seen));
	data++;
	mm__entry_lock_drop(&entry, &waiters, seen);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS + LOOKERS + 1];

	for (uintptr_t i = 1; i <= THREADS + LOOKERS; i++)
		pthread_create(&threads[i], NULL, i <= LOOKERS ? look_once : lock_once, (void *)i);
	for (uintptr_t i = 1; i <= THREADS + LOOKERS; i++)
		pthread_join(threads[i], NULL);
	assert(data == THREADS);
	assert(!atomic_load_explicit(&entry, memory_order_relaxed));
	assert(!atomic_load_explicit(&waiters, memory_order_relaxed));
	return 0;
}
