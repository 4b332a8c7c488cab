/* SPDX-License-Identifier: MIT */
/*
 * request - an acquisition with which no thread waits, and the requests that a thread has to look
 * after.
 *
 * A request stands in the same queues as waiting threads, with the same order, and becomes starving
 * and claims as they do. It differs in what follows when another thread has made way for it. A
 * thread that is woken looks again itself. A request that is woken belongs to the thread that woke
 * it: that thread puts it on a list of its own, and looks again for it when it has left all locks
 * of its call (async.h). If the request then holds its ranges, or was canceled, the thread calls
 * the callback.
 *
 *	ASYNC-1  A request that is woken, or that was woken before it was CANCELED, is on the
 *	         list of one thread. No other thread calls its callback.
 *	ASYNC-2  A request that is WAITING is in a queue and on no list. The thread that cancels
 *	         it takes it out of the queue, and puts it on its own list.
 *	ASYNC-3  A thread touches a request only while it is on the thread's list, or with a leaf
 *	         locked in whose queue or list of wide waiters the request is. The thread that
 *	         takes it off its list, and finds it granted or canceled, calls the callback.
 *	         From then on no thread touches the storage.
 *	ASYNC-4  A thread does not park before its list is empty, nor does it return to its
 *	         caller, unless that is a callback. Otherwise a waiter that depends on a woken
 *	         request (waiters.c) could wait for a thread that waits for it.
 *
 * A callback may release ranges, which makes more requests due. They go to the end of the list, and
 * the loop that called the callback comes to them after the callback has returned. So a chain of
 * grants does not use more stack than one.
 *
 *	[ASYNC-C]  state -> CANCELED of a request that was woken: a release, by the thread that
 *	           took it out of its queue, and that thread's last access to it. Pairs with the
 *	           acquire in look.c of the thread that has it on its list, as [LEAF-C]
 */
#ifndef RANGE_LOCK_REQUEST_H
#define RANGE_LOCK_REQUEST_H

#include "limit.h"
#include "platform/platform.h"
#include "set.h"

/* The requests that the calling thread has to look after, in the order in which they came. */
struct range__due {
	struct range__hold *first;
	struct range__hold *last;
	bool busy; /* the thread is in a callback or in a memory hook */
};

extern MMRANGE__LOCAL MMRANGE__THREAD_LOCAL struct range__due range__due;

/*
 * With all leaves of the set locked, before it enters a queue: it is going to wait as a request.
 * From the moment in which a leaf is unlocked, another thread may call the callback.
 */
void range__request_begin(struct range__set *set, const struct range__limit *limit);

/* What a request calls when it ends. */
struct range__callback {
	void (*call)(int error, void *arg);
	void *arg;
};

struct range__callback range__request_callback(const struct range__set *set);

/*
 * With a leaf locked in whose queue the request is, or was until now: the calling thread is going
 * to look after it.
 */
void range__request_due(struct range__hold *range);

/*
 * With a leaf locked in whose queue the request was: it is in no queue any more, and its callback
 * is to come, maybe from another thread.
 */
static inline void range__request_canceled(struct range__lock *lock)
{
	/* relaxed: range__forest_destroy() loads it after it has locked the leaf */
	atomic_fetch_add_explicit(&lock->nr_canceled, 1, memory_order_relaxed);
}

/* The callback comes now: the thread has no more to do in the lock for the request. */
static inline void range__request_left(struct range__lock *lock)
{
	/* release: pairs with the acquire in range__request_is_to_come() */
	atomic_fetch_sub_explicit(&lock->nr_canceled, 1, memory_order_release);
}

/* Whether a thread has to call the callback of a canceled request. */
static inline bool range__request_is_to_come(struct range__lock *lock)
{
	return atomic_load_explicit(&lock->nr_canceled, memory_order_acquire) > 0;
}

/* Takes the first request off the list, which is not empty. */
struct range__hold *range__request_take(void);

/*
 * The set of a waiter. That of a request is made anew in *room. With a leaf locked in whose queue
 * or list of wide waiters the waiter is; or, if it is a request, by the thread that has taken it
 * off its list.
 */
struct range__set *range__request_set(struct range__hold *waiter, struct range__set *room);

#endif
