/* SPDX-License-Identifier: MIT */
/*
 * model - what the harnesses for a model checker have in common. Each of them is one translation
 * unit: it includes this header, and the sources of the lock, unchanged, that it is about, see
 * RESULTS.md.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include "range_lock/layout.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* What the checker's headers lack. There are no keys of threads: the harnesses hand slots out. */
#ifdef MODEL_GENMC
#include <errno.h>

#define ECANCELED 125

/* The checker's is common to all threads. */
static _Thread_local int model_errno;
#undef errno
#define errno model_errno

#define PTHREAD_ONCE_INIT 0
typedef int pthread_once_t;
typedef int pthread_rwlock_t;
typedef unsigned int pthread_key_t;

static inline int pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
	(void)key, (void)destroy;
	return 1;
}

static inline int pthread_key_delete(pthread_key_t key)
{
	(void)key;
	return 1;
}

static inline int pthread_setspecific(pthread_key_t key, const void *value)
{
	(void)key, (void)value;
	return 1;
}

static inline int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	(void)prepare, (void)parent, (void)child;
	return 1;
}
#endif

/* The checker knows no instructions of a processor; nothing spins here, see platform/platform.c. */
#define __builtin_ia32_pause() ((void)0)

/* The threads have the numbers 1 to MODEL_THREADS. */
enum { MODEL_THREADS = 4 };

/*
 * One range for each thread, and not on its stack: others park on its state. It has the type that
 * the library sees, because the checker does not take accesses of one size for parts of others.
 */
static struct range__hold model_ranges[MODEL_THREADS + 1];

/* The number of the calling thread, which each thread of a harness sets when it begins. */
static _Thread_local uintptr_t model_self;

/* From now on, a thread that parks with a deadline may wake because of it. */
void model_deadline_passes(void);

/* How many weak compare-and-swaps of the calling thread fail for no reason, as C11 lets them. */
static _Thread_local int model_bad_luck;

static inline bool model_unlucky(void)
{
	if (model_bad_luck == 0)
		return false;
	model_bad_luck--;
	return true;
}

#undef atomic_compare_exchange_weak_explicit
#define atomic_compare_exchange_weak_explicit(object, expected, desired, success, failure)         \
	(!model_unlucky() &&                                                                       \
	 atomic_compare_exchange_strong_explicit(object, expected, desired, success, failure))

/*
 * What the checker takes for a loop that goes on until something changes; if nothing is left that
 * could change it, that is an error.
 */
void __VERIFIER_loop_begin(void);
void __VERIFIER_spin_start(void);
void __VERIFIER_spin_end(_Bool go_on);

#endif
