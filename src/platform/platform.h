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
 * It compares only the low 32 bits: the store that ends the wait must change those. It may return
 * early for no reason.
 *
 * @param deadline  absolute, on clock (CLOCK_REALTIME or CLOCK_MONOTONIC); NULL: none
 * @return 0, or ETIMEDOUT when the deadline has passed
 *
 * Ordering:  none; the caller loads the word again.
 */
int mmrange__park(_Atomic(uint64_t) *word, uint64_t expected, clockid_t clock,
		  const struct timespec *deadline);

/**
 * Wakes one thread, or all threads, that sleep on word. It does not touch the word, which may be
 * gone by now: then a thread that sleeps at the same address wakes early.
 */
void mmrange__unpark(_Atomic(uint64_t) *word, bool all);

/* In the child of fork(): forgets the threads that were parked in the parent. For fork.c. */
void mmrange__park_child(void);

/*
 * Set by fork.c before main(), if the system will not call it in the child of fork().
 * mmrange__park() must then leave nothing in memory that would mislead a child.
 */
extern bool mmrange__fork_is_unseen;

/**
 * All of this memory, which no thread has touched yet, is about to be used: the system may give it
 * in pages as large as it has. Leaves errno alone.
 */
void mmrange__want_huge_pages(void *memory, size_t size);

/** Nanoseconds of CLOCK_MONOTONIC. */
uint64_t mmrange__now(void);

/**
 * Whether another thread can run while this one spins: the system has several processors. The
 * library asks the system once, before main(); until then the answer is no.
 */
bool mmrange__spinning_helps(void);

/**
 * The calling thread's number in the kernel, for people to read; number, where the kernel has none.
 * Makes no system call where the C library knows the answer.
 */
uint32_t mmrange__system_thread(uint32_t number);

/* Never 0, and never used twice in less than 2^32 threads. */
uint64_t mmrange__new_thread(void);

/*
 * In the child of fork(): the thread takes its new number in the kernel. Its own number stays, and
 * so does what the thread owns. For fork.c.
 */
void mmrange__thread_child(void);

/*
 * MMRANGE__LOCAL: a variable of the fast paths is the library's own, and the code finds it without
 * a table. MMRANGE__THREAD_LOCAL: the library is loaded with the program, or is small enough for
 * the reserve of the loader, so the code finds a thread's variable without a call.
 */
#if defined(__GNUC__)
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
 * Makes the calling thread hold back its cancellation, and returns the state that
 * mmrange__cancel_restore() needs. The pairs may nest.
 *
 * Only between the two does the library call a cancellation point, or a function of the caller: a
 * thread that was canceled there would leave locks of the library locked.
 */
int mmrange__cancel_disable(void);
void mmrange__cancel_restore(int state);

/*
 * A light and a heavy fence are a pair: of two threads that store, pass one of the two each, and
 * load what the other has stored, at least one sees the other's store. Where the system can make
 * all threads pass a fence, mmrange__heavy_fence() does that, and mmrange__light_fence() only
 * orders for the compiler. Two light fences are no pair. (C++ P1202, "Asymmetric fences"; folly's
 * AsymmetricThreadFence.)
 */
extern MMRANGE__LOCAL bool mmrange__fence_is_heavy;

/** The heavy fence; false if the system has come to forbid it since the program began. */
bool mmrange__try_heavy_fence(void);

/** The same, but stops the process if the system forbids it. */
void mmrange__heavy_fence(void);

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

/** Tells the processor that this is a loop that spins. */
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

/*
 * Looks of a thread before it parks, at a word that other threads keep for less than a microsecond.
 */
#define MMRANGE__SPINS 100u

/**
 * One round of a loop that spins before it parks: pauses, and counts in *spins, which begins at 0.
 * False: the thread has spun for long enough, or spinning does not help.
 */
static inline bool mmrange__spin(unsigned int *spins)
{
	if (*spins >= MMRANGE__SPINS || !mmrange__spinning_helps())
		return false;
	++*spins;
	mmrange__relax();
	return true;
}

#endif
