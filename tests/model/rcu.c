/* SPDX-License-Identifier: MIT */
/*
 * A thread unlinks an object, gives it to RCU, and waits until it is freed, while readers look for
 * it. The contents of an object are plain memory, which the garbage function overwrites before it
 * frees the object. A reader that can still reach it then is a data race, or an access to freed
 * memory.
 *
 * READERS the number of reading threads, which main() registers; they take no lock of rcu.c
 * SECTIONS the number of consecutive read sections of each of them REGISTERS one more thread
 * registers itself, reads, and does not end POLL the thread looks once whether it can free, and
 * does not wait GIVER another thread unlinks the object and gives it; the waiting thread does not
 * know when
 *
 * The locks of limbos are mutexes: table_lock.c checks the real ones. The model explores a thread
 * that waits for a grace period only where the thread's first look shows that the period is over.
 */
#include "model.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef MODEL_GENMC
/* Not called. */
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);
int posix_memalign(void **memory, size_t alignment, size_t size);
#endif

void __VERIFIER_assume(bool condition);

/* The checker takes it for a real fence. It is a fence for the compiler only. */
#undef atomic_signal_fence
#define atomic_signal_fence(order) ((void)(order))

#include "table_mutex.h"

#include "mm/rcu.c"

#include "platform/platform.c"

#ifndef READERS
#define READERS 1
#endif
#ifndef SECTIONS
#define SECTIONS 1
#endif

void mm__backoff(struct mm__backoff *backoff)
{
	(void)backoff;
	__VERIFIER_assume(false);
}

struct object {
	struct mm__garbage garbage;
	int value;
};

static _Atomic(struct object *) published;
static struct mm__rcu_thread readers[READERS];
static struct mm__rcu_thread waiter;
#if defined(REGISTERS) || defined(GIVER)
static struct mm__rcu_thread other;
#endif

static void free_object(struct mm__garbage *garbage)
{
	struct object *object = (struct object *)garbage;

	object->value = 0;
	free(object);
}

static void read_section(void)
{
	const struct object *object;

	mm__rcu_read_lock();
	object = atomic_load_explicit(&published, memory_order_acquire);
	if (object)
		assert(object->value == 1);
	mm__rcu_read_unlock();
}

static void *reader(void *arg)
{
	mm__rcu_self = arg;
	for (int i = 0; i < SECTIONS; i++)
		read_section();
	return NULL;
}

#ifdef REGISTERS
static void *registering(void *arg)
{
	mm__rcu_begin_thread(arg);
	read_section();
	return NULL;
}
#endif

static void unlink_and_give(void)
{
	struct object *object = atomic_load_explicit(&published, memory_order_relaxed);

	/* relaxed: the grace period alone orders the unlinking */
	atomic_store_explicit(&published, NULL, memory_order_relaxed);
	mm__rcu_defer(&object->garbage, 0);
}

#ifdef GIVER
static void *giver(void *arg)
{
	mm__rcu_self = arg;
	unlink_and_give();
	return NULL;
}
#endif

static void publish(void)
{
	struct object *object = malloc(sizeof(*object));

	object->garbage.next = NULL;
	object->garbage.free = free_object;
	object->value = 1;
	atomic_init(&published, object);
}

int main(void)
{
	pthread_t threads[READERS + 1];

	publish();
	for (int i = 0; i < READERS; i++)
		mm__rcu_begin_thread(&readers[i]);
#ifdef GIVER
	mm__rcu_begin_thread(&other);
#endif
	mm__rcu_begin_thread(&waiter);
	for (int i = 0; i < READERS; i++)
		pthread_create(&threads[i], NULL, reader, &readers[i]);
#if defined(REGISTERS)
	pthread_create(&threads[READERS], NULL, registering, &other);
#elif defined(GIVER)
	pthread_create(&threads[READERS], NULL, giver, &other);
#endif
#ifndef GIVER
	unlink_and_give();
#endif
#ifdef POLL
	mm__rcu_poll();
#else
	mm__rcu_barrier();
#endif
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
#if defined(REGISTERS) || defined(GIVER)
	pthread_join(threads[READERS], NULL);
#endif
	return 0;
}
