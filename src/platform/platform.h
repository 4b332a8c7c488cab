/* SPDX-License-Identifier: MIT */
/*
 * platform - what the lock needs of the system: parking a thread on a word, a clock, the thread's
 * number, fences, a pause. The build picks linux/ (futex, membarrier) or posix/ (mutex and
 * condition variable, fences); the rest is POSIX.
 */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/**
 * Sleeps until *word is woken by mmrange__unpark(), if it is equal to expected at the moment of
 * falling asleep.
 *
 * Only the low 32 bits are compared: whatever ends the wait must change those. May return early for
 * no reason.
 *
 * @param deadline  absolute, on clock (CLOCK_REALTIME or CLOCK_MONOTONIC); NULL waits for ever
 * @return 0, or ETIMEDOUT when the deadline has passed
 *
 * Ordering:  none; the caller loads the word again.
 */
int mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
		  const struct timespec *deadline);

/**
 * Wakes one thread, or all threads, that sleep on word. The word itself is not touched: it may be
 * gone by now, and then somebody who sleeps at the same address wakes early.
 */
void mmrange__unpark(_Atomic(uint64_t) *word, bool all);

/*
 * fork.c calls this in the child of fork(), before fork() returns: forgets the threads that were
 * parked in the parent.
 */
void mmrange__park_child(void);

/*
 * Set before main() if the system cannot call fork.c in the child of fork(). mmrange__park() must
 * then leave no trace in memory that a child could stumble over.
 */
extern bool mmrange__fork_is_unseen;

/**
 * All of this memory, which no thread has touched yet, is about to be used: the system may give it in
 * pages as large as it has. Leaves errno alone.
 */
void mmrange__want_huge_pages(void *memory, size_t size);

/** Nanoseconds of CLOCK_MONOTONIC. */
uint64_t mmrange__now(void);

/**
 * Whether another thread can run while this one spins: the system has several processors. The
 * library asks for that once, before main(); until then the answer is no.
 */
bool mmrange__spinning_helps(void);

/**
 * What the system calls the calling thread, for people: the thread's number in the kernel, or where
 * there is none, number. Makes no system call where the C library knows the answer.
 */
uint32_t mmrange__system_thread(uint32_t number);

/* Never 0, and never used twice in less than 2^32 threads. */
uint64_t mmrange__new_thread(void);

/*
 * fork.c calls this in the child of fork(), before fork() returns: gives the thread the system's name
 * of it in the child. The number of its own stays, and with it what the thread owns.
 */
void mmrange__thread_child(void);

/* A shared library is loaded with the program or is small enough for the reserve: no call to find a
 * variable of the thread. */
#if defined(__GNUC__)
/* A variable that the fast paths look at: it is the library's own, and needs no table to be found. */
#define MMRANGE__LOCAL        __attribute__((visibility("hidden")))
#define MMRANGE__THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define MMRANGE__LOCAL
#define MMRANGE__THREAD_LOCAL _Thread_local
#endif

extern MMRANGE__LOCAL MMRANGE__THREAD_LOCAL uint64_t mmrange__thread;

/** The calling thread: mmrange__system_thread() in the upper half, its own number in the lower. */
static inline uint64_t mmrange__self(void)
{
	uint64_t self = mmrange__thread;

	return self ? self : mmrange__new_thread();
}

/** Whether mmrange__self() gave both in the same thread, maybe before and after fork(). */
static inline bool mmrange__same_thread(uint64_t a, uint64_t b)
{
	return (uint32_t)a == (uint32_t)b;
}

/**
 * Makes the calling thread hold back its cancellation, and returns what mmrange__cancel_restore()
 * needs to undo that. The pairs may nest.
 *
 * The library calls a function that is a cancellation point, or that the caller wrote, between the
 * two only: a thread that was canceled there would leave locks of the library locked.
 */
int mmrange__cancel_disable(void);
void mmrange__cancel_restore(int state);

/*
 * Two fences in a pair: of two threads that store, pass one of them each, and load what the other
 * has stored, at least one sees the other's store. Where the system can make all threads pass a
 * fence, mmrange__heavy_fence() does so, and mmrange__light_fence() is nothing but an order for the
 * compiler. Two light ones are no pair.
 */
extern MMRANGE__LOCAL bool mmrange__fence_is_heavy;

/** False if the system does not do it any more, which it did when the program began. */
bool mmrange__heavy_fence(void);

static inline void mmrange__full_fence(void)
{
#ifdef __SANITIZE_THREAD__
	/*
	 * GCC's ThreadSanitizer knows no fences, and must not take this for an order between
	 * threads.
	 */
	static _Thread_local atomic_int mine;

	atomic_fetch_add(&mine, 1);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

static inline void mmrange__light_fence(void)
{
	if (mmrange__fence_is_heavy)
		atomic_signal_fence(memory_order_seq_cst);
	else
		mmrange__full_fence();
}

/** Tells the processor that this is a spin loop. */
static inline void mmrange__relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#elif defined(__riscv)
	__asm__ volatile(".insn i 0x0f, 0, x0, x0, 0x010"); /* pause (Zihintpause), else a no-op */
#endif
}

#endif
