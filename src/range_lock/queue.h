/* SPDX-License-Identifier: MIT */
/*
 * queue - a waiting acquisition's place in the queue of one leaf.
 *
 * An acquisition waits in the queue of a leaf that blocks it, with the range that is blocked there.
 * All of this is called with all leaves of its set locked.
 */
#ifndef RANGE_LOCK_QUEUE_H
#define RANGE_LOCK_QUEUE_H

#include "set.h"

/* Where an acquisition has to wait, and with which of its ranges. */
struct range__obstacle {
	struct range__hold *range; /* NULL: nothing blocks it */
	struct range__leaf *leaf;
};

/* The first one, in the order of the leaves. */
struct range__obstacle range__find_obstacle(struct range__set *set);

/*
 * A newcomer becomes a waiter. Its marks say already whether it is a request: threads that have
 * none of its leaves locked look at them as soon as it claims.
 */
void range__queue_arrive(struct range__set *set, struct range__obstacle obstacle);

/* A waiter that stands in no queue goes to the one of its obstacle. */
void range__queue_at(struct range__set *set, struct range__obstacle obstacle);

/*
 * A waiter leaves its queue without holding: wakes the waiters that it held back there. In a closed
 * lock it wakes none, because the thread that closes it takes all of them out ([CLOSE-1]).
 */
void range__queue_leave(struct range__set *set, struct range__wakes *wakes);

/* It leaves the lists of wide waiters and of claims, where it is in them. */
void range__queue_leave_lists(struct range__set *set);

/* A waiter gives up: it leaves the queue and the lists, and wakes all waiters that it held back. */
void range__queue_give_up(struct range__set *set, struct range__wakes *wakes);

/*
 * Another thread makes a waiter give up, tells it why (RANGE_CANCELED or RANGE_DEADLOCKED), unlocks
 * the leaves and unparks it. The waiter may be gone by then.
 */
void range__expel_and_unlock(struct range__set *set, uint64_t why);

#endif
