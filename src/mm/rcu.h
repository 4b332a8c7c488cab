/* SPDX-License-Identifier: MIT */
/*
 * rcu - read-copy-update, by liburcu's bulletproof flavour: threads need no registration.
 *
 * What readers find through pointers is published by release stores and found by acquire loads of
 * C11; this only tells when nobody can read it any more.
 */
#ifndef MM_RCU_H
#define MM_RCU_H

/*
 * Read sections are a few instructions, which the header has for programs of any licence to have them
 * inline (see its comments there); with this name it gives them out. Not where undefined behaviour is
 * looked for (with GCC, what says so is that addresses are looked at, too): the memory of liburcu's
 * readers is not aligned as its header promises.
 */
#if defined(__SANITIZE_ADDRESS__)
#define MM__RCU_CALLS 1
#elif defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
#define MM__RCU_CALLS 1
#endif
#endif
#ifndef MM__RCU_CALLS
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-bp.h>

/* An address space for one thread has no readers to wait for; see lock.h. */
#ifdef MM__FLOOR
#define MM__RCU 0
#else
#define MM__RCU 1
#endif

/*
 * ThreadSanitizer sees nothing of what liburcu does, and is told of it: who ends a read section, or
 * gives something away, comes before what is done when the grace period is over.
 */
#if defined(__SANITIZE_THREAD__)
#define MM__RCU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MM__RCU_TSAN 1
#endif
#endif

#ifdef MM__RCU_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
extern char mm__rcu_tsan;

static inline void mm__rcu_before(void)
{
	__tsan_release(&mm__rcu_tsan);
}

static inline void mm__rcu_after(void)
{
	__tsan_acquire(&mm__rcu_tsan);
}
#else
static inline void mm__rcu_before(void)
{
}

static inline void mm__rcu_after(void)
{
}
#endif

/* Read sections nest, and block nobody. */
static inline void mm__rcu_read_lock(void)
{
	if (MM__RCU)
		urcu_bp_read_lock();
}

static inline void mm__rcu_read_unlock(void)
{
	mm__rcu_before();
	if (MM__RCU)
		urcu_bp_read_unlock();
}

/* First in what is freed when all present readers are gone. */
struct mm__garbage {
	struct rcu_head head;
	struct mm__garbage *next;
	void (*free)(struct mm__garbage *garbage); /* NULL: free() */
};

/*
 * Frees a list (NULL: none), each in its way, when all who read now are gone. Does not block. No lock
 * should be held that is held for short times: this may make a thread, or wake one.
 */
void mm__rcu_free(struct mm__garbage *list);

/* Waits until all who read now are gone. Not in a read section. */
void mm__rcu_synchronize(void);

/* Waits until all that was given to mm__rcu_free() by now is freed. Not in a read section. */
void mm__rcu_barrier(void);

#endif
