/* SPDX-License-Identifier: MIT */
/*
 * deadlock_wait - what the checked build knows of a wait; in other builds nothing.
 */
#ifndef RANGE_LOCK_DEADLOCK_WAIT_H
#define RANGE_LOCK_DEADLOCK_WAIT_H

#include "deadlock_note.h"
#include "platform/platform.h"
#include "set.h"

#ifdef MMRANGE_CHECKED

/* One range, or mutex, of a cycle. */
struct range__line {
	const struct range__lock *lock; /* NULL: a mutex */
	const void *mutex;
	uint64_t start;
	uint64_t end;
	uint8_t mode;
	bool held;
	bool request;           /* it waits, and no thread waits with it */
	bool starving;          /* if it waits */
	bool waits_for_request; /* if it waits: for one of the thread waits_for */
	uint32_t thread;        /* that holds it, or waits for it, or asked for it */
	uint32_t waits_for;     /* a thread, if it waits */
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
	struct range__set *set; /* NULL: it is for a mutex, and has no lock */
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
	/* What follows is under the mutex of deadlock_register.h. */
	bool registered;
	struct range__wait *next;
	struct range__wait **link;
	/* The state of the search with this number, which has reached it: */
	uint64_t search;
	struct range__wait *from; /* this one waits for it */
	struct range__wait *todo; /* the next one to go on from */
	struct range__line via;   /* from waits for this request, if it is one, which waits for: */
	struct range__line held;  /* this range of the same thread, if it is held */
	struct range__line self;  /* the range that stood in a queue when the search came to it */
	struct range__report report; /* for the one that has to give up */
};

/* A thread's number in the system. */
static inline uint32_t range__thread_of(uint64_t thread)
{
	return (uint32_t)(thread >> 32);
}

/* The wait of a waiter; NULL: it has a deadline, or no thread waits with it. */
static inline struct range__wait *range__wait_of(const struct range__hold *waiter)
{
	return range__marked(waiter, RANGE__ASYNC) ? NULL : waiter->set->wait;
}

/* With all leaves locked: the thread that waits with it does not wait any longer. */
static inline void range__deadlock_dequeued(struct range__wait *wait)
{
	wait->queued = false;
}

/*
 * With all leaves locked: a waiter has claimed, and is starving. The thread that waits with it,
 * NULL if it is a request, is to look.
 */
static inline void range__deadlock_claimed(struct range__wait *wait, struct range__hold *first)
{
	if (!wait)
		range__deadlock_note_request(first);
	else /* relaxed: the same thread loads it */
		atomic_store_explicit(&wait->promoted, true, memory_order_relaxed);
}

/* With the leaf locked: a waiter, or NULL, has become starving. It is to look. */
static inline void range__deadlock_promoted(struct range__hold *range)
{
	uint64_t state = RANGE_WAITING;
	struct range__wait *wait;

	if (!range)
		return;
	if (range__marked(range, RANGE__ASYNC)) {
		range__deadlock_note_request(range);
		return;
	}
	wait = range__wait_of(range);
	if (!wait)
		return;
	/* relaxed: what the waiter is to see it sees under the leaf's lock */
	atomic_store_explicit(&wait->promoted, true, memory_order_relaxed);
	/* release: pairs with the acquire in range__deadlock_park() */
	if (atomic_compare_exchange_strong_explicit(&range->state, &state, RANGE_LOOKS,
						    memory_order_release, memory_order_relaxed))
		mmrange__unpark(&range->state, false);
}

#else

struct range__wait {
	char unused;
};

static inline void range__deadlock_dequeued(struct range__wait *wait)
{
	(void)wait;
}

static inline void range__deadlock_claimed(struct range__wait *wait, struct range__hold *first)
{
	(void)wait, (void)first;
}

static inline void range__deadlock_promoted(struct range__hold *range)
{
	(void)range;
}

#endif

#endif
