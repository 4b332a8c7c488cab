/* SPDX-License-Identifier: MIT */
/*
 * deadlock - finds threads that wait for each other in a cycle, over any number of locks, in builds
 * with MMRANGE_CHECKED. In other builds a waiter just parks.
 *
 * A waiting range waits for each held range that conflicts with it, and so for the wait of the
 * thread that acquired that one. It also waits for each conflicting waiter before it that is
 * starving. It needs all of them to go, so a cycle never ends. A wait with a deadline does end, and
 * is left out.
 *
 * A cycle comes into being when its last thread begins to wait, or when a waiter becomes starving.
 * So there are two looks for a cycle: by a thread that begins to wait and holds a range or a mutex,
 * and by a waiter that becomes starving. No thread waits for a thread that holds neither, so such a
 * thread closes no cycle when it begins to wait.
 */
#ifndef RANGE_LOCK_DEADLOCK_H
#define RANGE_LOCK_DEADLOCK_H

#include "platform/platform.h"
#include "wait.h"

#ifdef MMRANGE_CHECKED

/* One range, or mutex, of a cycle. */
struct range__line {
	const struct range__lock *lock; /* NULL: a mutex */
	const void *mutex;
	uint64_t start;
	uint64_t end;
	uint8_t mode;
	bool held;
	bool starving;      /* if it waits */
	uint32_t thread;    /* that holds it, or waits for it */
	uint32_t waits_for; /* a thread, if it waits */
};

enum { RANGE__MOST_LINES = 28 };

struct range__report {
	unsigned int n; /* may be more than there is room for */
	struct range__line lines[RANGE__MOST_LINES];
};

/*
 * A wait, on the stack of the thread that waits. If it has no deadline, it is registered from
 * range__deadlock_enter() to range__deadlock_leave().
 */
struct range__wait {
	/* Set before the range is queued. */
	uint64_t thread;
	struct range__lock *lock;
	struct range__set *set; /* NULL: it is for a mutex, in mutex.c, and has no lock */
	const void *mutex;
	uint64_t first_start; /* of the set's first range */
	uint64_t since;
	bool timed;
	/* Under the locks of all leaves: false from the moment on in which it waits no longer. */
	bool queued;
	/* Set under a leaf's lock, when the waiter becomes starving; cleared by the waiter. */
	atomic_bool promoted;
	/* The waiter's own: a look could not see all, and is to be repeated. */
	bool again;
	/* What follows is under the mutex of deadlock.c. */
	bool registered;
	struct range__wait *next;
	struct range__wait **link;
	/* The state of the search with this number, which has reached it: */
	uint64_t search;
	struct range__wait *from; /* this one waits for it */
	struct range__wait *todo; /* the next one to go on from */
	struct range__line held;  /* from waits for this range of the same thread, if it is held */
	struct range__line self;  /* the range that stood in a queue when the search came to it */
	struct range__report report; /* for the one that has to give up */
};

/*
 * With all leaves locked, before the set waits: prepares a wait, with a deadline or without. A claim
 * of the set is seen by threads that have none of these leaves locked.
 */
void range__deadlock_prepare(struct range__wait *wait, struct range__set *set, bool timed);

/* After the range was queued: registers a wait without a deadline. */
void range__deadlock_register(struct range__wait *wait);

/*
 * Looks for cycles that a registered wait is in. Of each, the range that was queued last is taken
 * out of its queue as RANGE_DEADLOCKED. False: the look is to be repeated, as it could not see all.
 */
bool range__deadlock_look(struct range__wait *wait);

/* After the range was queued: registers its wait, and looks if it can have closed a cycle. */
void range__deadlock_enter(struct range__wait *wait);

/* With all leaves locked: its own thread does not wait any longer. */
static inline void range__deadlock_dequeued(struct range__wait *wait)
{
	wait->queued = false;
}

/* With all leaves locked: its own thread has claimed, and is starving. It is to look. */
static inline void range__deadlock_claimed(struct range__wait *wait)
{
	/* relaxed: the same thread loads it */
	atomic_store_explicit(&wait->promoted, true, memory_order_relaxed);
}

/* With nothing locked: the wait has ended, with 0 or an error. EDEADLK is reported. */
void range__deadlock_leave(struct range__wait *wait, int error);

/* With the leaf locked: a waiter, or NULL, has become starving. It is to look. */
void range__deadlock_promoted(struct range__hold *range);

/* Parks a waiter, with a look if it has to: 0 or ETIMEDOUT, and may return early for no reason. */
int range__deadlock_park(struct range__wait *wait, struct range__hold *range,
			 const struct range__limit *limit);

/* Sleeps until a look is to be repeated. */
void range__deadlock_nap(void);

/* In the child of fork(): no thread waits, and the others own no mutex. */
void range__deadlock_child(void);

/* The mutex of the register of waits. What follows needs it, but for the reports. */
void range__deadlock_lock(void);
void range__deadlock_unlock(void);

void range__deadlock_add(struct range__wait *wait);
void range__deadlock_remove(struct range__wait *wait);

/* What a thread waits with, if that does not end by itself. */
struct range__wait *range__deadlock_wait_of(uint64_t thread);

/*
 * Whether a wait is in a cycle; then from leads around it, against the direction of waiting.
 * *unsure: it could not see all.
 */
bool range__deadlock_find(struct range__wait *start, bool *unsure);

/* The thread that owns a mutex of the program, or 0. */
uint64_t range__mutex_owner(const void *mutex);
void range__mutex_child(void);

/* Whether a thread owns a mutex. If it does not, this may be true all the same. */
bool range__mutex_owns(uint64_t thread);

/* Writes down a cycle that was found, under the mutex, and tells it, without. */
void range__deadlock_note(struct range__report *report, const struct range__wait *start);
void range__deadlock_print(const struct range__report *report);

/* A thread's number in the system. */
static inline uint32_t range__thread_of(uint64_t thread)
{
	return (uint32_t)(thread >> 32);
}

/* How many ranges all searches have looked at. For tests, when no thread uses a lock. */
extern uint64_t range__deadlock_steps;

#else

struct range__wait {
	char unused;
};

static inline void range__deadlock_prepare(struct range__wait *wait, struct range__set *set,
					   bool timed)
{
	(void)wait, (void)set, (void)timed;
}

static inline void range__deadlock_claimed(struct range__wait *wait)
{
	(void)wait;
}

static inline void range__deadlock_enter(struct range__wait *wait)
{
	(void)wait;
}

static inline void range__deadlock_dequeued(struct range__wait *wait)
{
	(void)wait;
}

static inline void range__deadlock_leave(struct range__wait *wait, int error)
{
	(void)wait, (void)error;
}

static inline void range__deadlock_promoted(struct range__hold *range)
{
	(void)range;
}

static inline int range__deadlock_park(struct range__wait *wait, struct range__hold *range,
				       const struct range__limit *limit)
{
	(void)wait;
	return mmrange__park(&range->state, RANGE_WAITING, limit->clock, limit->deadline);
}

#endif

#endif
