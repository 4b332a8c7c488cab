/* SPDX-License-Identifier: MIT */
/*
 * race - what the lock tells a race detector (platform/detector.h): that a release happens before
 * each later acquisition of a range that conflicts, and before no other one. So the detector still
 * finds two threads that hold ranges apart from each other, and yet use the same data.
 *
 * The keys form a tree: a node of level k is 4^k keys, and has four children; the root, of level
 * 32, is all keys. A range consists of the largest nodes that lie in it, its whole nodes. What is
 * above them lies in the range in part. Two ranges overlap exactly if a whole node of one of them
 * is a whole node of the other, or is above or below one. Each node has these objects, for the
 * releases of readers and of writers apart:
 *
 *	         a release                      an acquisition
 *	WHOLE    of each whole node             of each whole node, and each node above
 *	PART     of each node above             of each whole node
 *
 * Writers acquire both what readers and what writers have released, readers only the latter.
 *
 * If there is a detector, calls take the slow paths only, as in a closed lock (copy.h), and each
 * tells it what it did. They do so before they release and after they have acquired.
 *
 * Helgrind and DRD see the library's own accesses, but not that atomic operations order them. So no
 * call has its own accesses reported, but for those of the functions of the program that it calls.
 * Memory that the caller gets back is the calling thread's.
 */
#ifndef RANGE_LOCK_RACE_H
#define RANGE_LOCK_RACE_H

#include "platform/detector.h"

#include "set.h"

#include <errno.h>

/* The functions with _known are those below for a program that a detector watches. */
void range__race_acquired_known(struct range__lock *lock, uint64_t start, uint64_t end,
				enum range_mode mode);
void range__race_release_known(struct range__lock *lock, uint64_t start, uint64_t end,
			       enum range_mode mode);
void range__race_request_known(const struct range__set *set);
void range__race_answer_known(const struct range__set *set);
void range__race_cancel_known(const struct range__set *set);
void range__race_ended_known(const struct range__set *set, int error);
void range__race_hook_begins_known(const struct range__lock *lock);
void range__race_hook_ends_known(const struct range__lock *lock);

/* The calling thread begins a call on a lock, and ends it: not in such a call already. */
static inline void range__race_enter(void)
{
	if (mmrange__watched())
		mmrange__detector_hush();
}

static inline void range__race_leave(void)
{
	if (mmrange__watched())
		mmrange__detector_listen();
}

/* Within such a call: the thread is about to call a function of the program, and has called it. */
static inline void range__race_callback_begins(void)
{
	range__race_leave();
}

static inline void range__race_callback_ends(void)
{
	range__race_enter();
}

/* The same for a memory hook: those of one lock run one after the other. */
static inline void range__race_hook_begins(const struct range__lock *lock)
{
	if (mmrange__watched())
		range__race_hook_begins_known(lock);
}

static inline void range__race_hook_ends(const struct range__lock *lock)
{
	if (mmrange__watched())
		range__race_hook_ends_known(lock);
}

/* A range, or a part of one that is held already, has been acquired. */
static inline void range__race_acquired(struct range__lock *lock, uint64_t start, uint64_t end,
					enum range_mode mode)
{
	if (mmrange__watched())
		range__race_acquired_known(lock, start, end, mode);
}

/* A range, or a part of it, is about to be released; as what it was held. */
static inline void range__race_release(struct range__lock *lock, uint64_t start, uint64_t end,
				       enum range_mode mode)
{
	if (mmrange__watched())
		range__race_release_known(lock, start, end, mode);
}

/* Before a request enters a queue, and before its callback: what came before both. */
static inline void range__race_request(const struct range__set *set)
{
	if (mmrange__watched())
		range__race_request_known(set);
}

static inline void range__race_answer(const struct range__set *set)
{
	if (mmrange__watched())
		range__race_answer_known(set);
}

/* Before the wait of a set is ended with ECANCELED. */
static inline void range__race_cancel(const struct range__set *set)
{
	if (mmrange__watched())
		range__race_cancel_known(set);
}

/*
 * An acquisition has ended with an error or with 0. With EINPROGRESS it has not, and its set may be
 * gone: then this does nothing.
 */
static inline void range__race_ended(const struct range__set *set, int error)
{
	if (mmrange__watched())
		range__race_ended_known(set, error);
}

/*
 * The memory, which the library has used, is the caller's again. This is also for what is on the
 * stack, and other threads have looked at: Helgrind does not forget that when a function returns.
 */
static inline void range__race_give_back(const void *memory, size_t size)
{
	if (mmrange__watched())
		mmrange__detector_forget(memory, size);
}

#endif
