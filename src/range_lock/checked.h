/* SPDX-License-Identifier: MIT */
/*
 * checked - finds misuse, in builds with MMRANGE_CHECKED. The library registers every range in use
 * in a table by its address, and so reads nothing from storage that the caller may never have
 * initialised. In other builds all of this is empty.
 */
#ifndef RANGE_LOCK_CHECKED_H
#define RANGE_LOCK_CHECKED_H

#include "checked_stop.h"
#include "checked_walk.h"
#include "platform/platform.h"
#include "set.h"

#ifdef MMRANGE_CHECKED
#define RANGE__CHECKED true

/* What the registry knows of a range in use. */
enum {
	RANGE__CHECKED_HELD = 1,
	RANGE__CHECKED_DISOWNED = 2 /* no thread is known to release it */
};

/* Stops if the lock is not alive. */
void range__checked_lock(const struct range__lock *lock);

/* The calling thread uses the library: a child of fork() has to know how many threads did. */
void range__checked_thread(void);

/* Before an acquisition; stops if the range is in use. */
void range__checked_begin(struct range__lock *lock, struct range__hold *range);

/*
 * After range__checked_begin(), of a request or what was asked for as one: the range has no owner.
 * The program may hand it to any thread, so no thread waits for the one that asked.
 */
void range__checked_disown(struct range__hold *range);

/* After range__checked_begin() for a part of a held range: it has an owner if that one has. */
void range__checked_split(struct range__hold *part, const struct range__hold *range);

/* Before the release of a part that is joined to a held range: that one has no owner if one has
 * none. */
void range__checked_join(struct range__hold *range, const struct range__hold *part);

/* With a leaf locked in which the range is held: whether the thread that acquired it owns it. */
static inline bool range__checked_owned(const struct range__hold *range)
{
	/* relaxed: from before the range was held to its release this bit does not change */
	return !(atomic_load_explicit(&range->checked_how, memory_order_relaxed) &
		 RANGE__CHECKED_DISOWNED);
}

/* After an acquisition, which has returned 0 or an error. */
void range__checked_end(struct range__hold *range, int error);

/* Stops if the range is not held in this lock. */
void range__checked_held(struct range__lock *lock, const struct range__hold *range);

/* Before a release; stops if the range is not held in this lock. */
void range__checked_release(struct range__lock *lock, struct range__hold *range);

/*
 * Whether a thread owns a range, of any lock: it acquired the range itself, and waited for it. If
 * it does not, the answer may be true all the same.
 */
bool range__checked_holds(uint64_t thread);

/* How many ranges the calling thread has passed in the registry. For tests. */
extern MMRANGE__THREAD_LOCAL uint32_t range__checked_steps;

/*
 * In the child of fork(): forgets the ranges of this lock. The child has already forgotten the
 * ranges of threads that it does not have.
 */
void range__checked_child(const struct range__lock *lock);

/*
 * With all leaves locked: whether the calling thread would wait for a range that it acquired
 * itself. A range that covers a leaf is recorded with its owner where the range begins, and not
 * found here. For a wait without a deadline, the search for a cycle finds it (deadlock.h); for
 * others, the next two functions do.
 */
bool range__checked_deadlock(const struct range__set *set);

/* With all leaves locked: whether a range of the calling thread may cover one of them. */
bool range__checked_covered(const struct range__set *set);

/*
 * With no leaf locked: whether the thread would wait for a range of its own that covers. O(leaves).
 */
bool range__checked_covering_deadlock(const struct range__set *set);

#else
#define RANGE__CHECKED false

static inline void range__checked_lock(const struct range__lock *lock)
{
	(void)lock;
}

static inline void range__checked_begin(struct range__lock *lock, struct range__hold *range)
{
	(void)lock, (void)range;
}

static inline void range__checked_disown(struct range__hold *range)
{
	(void)range;
}

static inline void range__checked_split(struct range__hold *part, const struct range__hold *range)
{
	(void)part, (void)range;
}

static inline void range__checked_join(struct range__hold *range, const struct range__hold *part)
{
	(void)range, (void)part;
}

static inline void range__checked_end(struct range__hold *range, int error)
{
	(void)range, (void)error;
}

static inline void range__checked_held(struct range__lock *lock, const struct range__hold *range)
{
	(void)lock, (void)range;
}

static inline void range__checked_release(struct range__lock *lock, struct range__hold *range)
{
	(void)lock, (void)range;
}

static inline void range__checked_child(const struct range__lock *lock)
{
	(void)lock;
}

static inline bool range__checked_deadlock(const struct range__set *set)
{
	(void)set;
	return false;
}

static inline bool range__checked_covered(const struct range__set *set)
{
	(void)set;
	return false;
}

static inline bool range__checked_covering_deadlock(const struct range__set *set)
{
	(void)set;
	return false;
}

#endif

#endif
