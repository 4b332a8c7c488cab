/* SPDX-License-Identifier: MIT */
/*
 * checked - finds misuse, in builds with MMRANGE_CHECKED: every range in use is registered in a
 * table by its address, so that nothing needs to be read from storage that the caller may never
 * have initialised. In other builds all of this is empty.
 */
#ifndef RANGE_LOCK_CHECKED_H
#define RANGE_LOCK_CHECKED_H

#include "leaf.h"
#include "platform/platform.h"

#ifdef MMRANGE_CHECKED

/* Stops if the lock is not alive. */
void range__checked_lock(const struct range_lock *lock);

/* The calling thread uses the library: children of fork() count such threads. */
void range__checked_thread(void);

/* An acquisition begins; stops if the range is in use. */
void range__checked_begin(struct range_lock *lock, struct range_hold *range);

/* It has ended, with 0 or an error. */
void range__checked_end(struct range_hold *range, int error);

/* Stops if the range is not held in this lock. */
void range__checked_held(struct range_lock *lock, const struct range_hold *range);

/* A release begins; stops if the range is not held in this lock. */
void range__checked_release(struct range_lock *lock, struct range_hold *range);

/*
 * Whether a thread holds a range that it acquired itself, of any lock. If it does not, this may be
 * true all the same.
 */
bool range__checked_holds(uint64_t thread);

/* How many ranges the calling thread has passed in the registry. For tests. */
extern MMRANGE__THREAD_LOCAL uint64_t range__checked_steps;

/*
 * In the child of fork(): forgets the ranges of this lock. The child has forgotten those of threads
 * that are gone by itself.
 */
void range__checked_child(const struct range_lock *lock);

/* With the leaf locked: whether the calling thread would wait for a range that it acquired itself.
 */
bool range__checked_deadlock(struct range__leaf *leaf, const struct range_hold *range);

/* In range_lock_foreach(): calls the caller's function; stops if the thread ends in it. */
int range__checked_tell(struct range_lock *lock,
			int (*fn)(const struct range_info *info, void *arg),
			const struct range_info *info, void *arg);

/* The lock is made or destroyed; stops if the calling thread is in range_lock_foreach() of it. */
void range__checked_not_walked(const struct range_lock *lock);

/* How many calls of range__checked_tell() the calling thread is in, and has not returned from. */
extern MMRANGE__THREAD_LOCAL unsigned int range__walks;

/* If there are any: stops if the thread has left the innermost one, and not by returning. */
void range__checked_still_in_walk(const struct range_lock *lock);

/* Stops the process with a message. */
_Noreturn void range__checked_stop(const char *what, const struct range_lock *lock,
				   const struct range_hold *range);

#else

static inline void range__checked_lock(const struct range_lock *lock)
{
	(void)lock;
}

static inline void range__checked_begin(struct range_lock *lock, struct range_hold *range)
{
	(void)lock, (void)range;
}

static inline void range__checked_end(struct range_hold *range, int error)
{
	(void)range, (void)error;
}

static inline void range__checked_held(struct range_lock *lock, const struct range_hold *range)
{
	(void)lock, (void)range;
}

static inline void range__checked_release(struct range_lock *lock, struct range_hold *range)
{
	(void)lock, (void)range;
}

static inline void range__checked_child(const struct range_lock *lock)
{
	(void)lock;
}

static inline bool range__checked_deadlock(struct range__leaf *leaf, const struct range_hold *range)
{
	(void)leaf, (void)range;
	return false;
}

static inline int range__checked_tell(struct range_lock *lock,
				      int (*fn)(const struct range_info *info, void *arg),
				      const struct range_info *info, void *arg)
{
	(void)lock;
	return fn(info, arg);
}

static inline void range__checked_not_walked(const struct range_lock *lock)
{
	(void)lock;
}

#endif

#endif
