/* SPDX-License-Identifier: MIT */
/*
 * interrupt - interrupting other threads of an address space, so that their per-thread states can
 * be changed: see thread.h for the protocol. A thread interrupts several threads in the order of
 * their numbers, passes one fence for all, waits for each until it has left, and resumes each.
 *
 *	mm__interrupt_begin(&interrupted);
 *	mm__interrupt(&interrupted, thread);		for each thread
 *	mm__interrupt_fence(&interrupted);
 *	for (thread = interrupted.first; thread;) {
 *		mm__interrupt_await(thread);
 *		changes the state of the thread
 *		thread = mm__interrupt_resume(thread);
 *	}
 *	mm__interrupt_end();
 */
#ifndef MM_INTERRUPT_H
#define MM_INTERRUPT_H

#include "space.h"

/* The threads that one thread interrupts together, in the order of their numbers. */
struct mm__interrupted {
	struct mm__thread *first;
	struct mm__thread *last;
	bool fenced; /* all of them are fenced, so no heavy fence is necessary */
};

void mm__interrupt_begin(struct mm__interrupted *interrupted);
void mm__interrupt_end(void);

/* Holds the interrupt lock of the thread until mm__interrupt_resume(). */
void mm__interrupt(struct mm__interrupted *interrupted, struct mm__thread *thread);

/*
 * Interrupts all threads but one (NULL: all). The caller holds the lock of struct mm__threads, so
 * that no thread begins.
 */
void mm__interrupt_all_but(struct mm__interrupted *interrupted, const struct mm__threads *threads,
			   const struct mm__thread *but);

void mm__interrupt_fence(const struct mm__interrupted *interrupted);

/* Waits until the thread has called mm__thread_leave(). */
void mm__interrupt_await(struct mm__thread *thread);

/*
 * Resumes the thread. Returns the next interrupted thread, because the caller must not look at this
 * one any more.
 */
struct mm__thread *mm__interrupt_resume(struct mm__thread *thread);

/*
 * Interrupts one thread, and waits until it has left. The caller holds the attach lock, so the
 * thread does not end.
 */
void mm__interrupt_one(struct mm__thread *thread);
void mm__interrupt_resume_one(struct mm__thread *thread);

/*
 * Interrupts all threads of the space, the caller and own_thread included. While all of them are
 * interrupted, calls visit for each, and then resumes them. No thread begins or ends meanwhile: the
 * function holds the lock of struct mm__threads, so visit must not take it. Neither the caller nor
 * visit is between mm__thread_enter() and mm__thread_leave().
 */
void mm__threads_interrupt_all(struct mm *mm, void (*visit)(struct mm__thread *thread, void *arg),
			       void *arg);
/* The same, but does not interrupt the threads. */
void mm__threads_for_each(struct mm *mm, void (*visit)(struct mm__thread *thread, void *arg),
			  void *arg);

#endif
