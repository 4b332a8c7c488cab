/* SPDX-License-Identifier: MIT */
/*
 * deadlock_front - the ranges from which a search goes on in a leaf, in builds with
 * MMRANGE_CHECKED: a range that waits, and the requests that it waits for, directly or not.
 *
 * A request has no thread that waits with it, and no memory for the state of a search. So the
 * search treats the requests of one leaf as part of the range behind them. It comes to them in
 * descending order of arrival, and adds each one that conflicts with the front. All of the front is
 * then later than the next waiter, and the front alone says whether that waiter holds a part of it
 * back.
 *
 * Each range that joins overlaps the front, so the union of all has no gap. A writer conflicts with
 * the front if it overlaps the union; a reader, if it overlaps a part that writers ask for.
 */
#ifndef RANGE_LOCK_DEADLOCK_FRONT_H
#define RANGE_LOCK_DEADLOCK_FRONT_H

#include "deadlock_wait.h"

#ifdef MMRANGE_CHECKED

/* Between two parts there is a reader. A request for which there is no room is passed over. */
enum { RANGE__MOST_PARTS = 16 };

struct range__front {
	struct range__lock *lock;
	struct range__wait *from;  /* the wait that leads here */
	struct range__line before; /* the request through which it does, if it is one */
	/* Of the first range: */
	uint64_t own_start, own_end;
	enum range_mode own_mode;
	const struct range__hold *except; /* what it stands for, RANGE__UPGRADE */
	/* The union. */
	uint64_t start, end;
	/* What writers ask for, in no order. No two parts touch. */
	unsigned int nr_parts;
	struct {
		uint64_t start, end;
	} parts[RANGE__MOST_PARTS];
	unsigned int nr_requests;
	struct range__line last; /* the request that was added last, if there is one */
};

/* With a leaf of the range locked: the front is this range alone. */
void range__front_begin(struct range__front *front, const struct range__hold *range);

/* Adds a request that conflicts with the front. False: there is no room. */
bool range__front_add(struct range__front *front, const struct range__hold *request);

/* Whether a range conflicts with one of the front. */
bool range__front_conflicts(const struct range__front *front, const struct range__hold *range);

/* Whether all that conflicts with a range conflicts with the front, and the opposite. */
bool range__front_covers(const struct range__front *front, const struct range__hold *range);
bool range__front_is_covered(const struct range__front *front, const struct range__hold *range);

/* A request that leads from the front's wait to a range that conflicts with the front; or none. */
struct range__line range__front_via(const struct range__front *front,
				    const struct range__hold *range);

/* With a leaf of a range that waits locked: what a report says of it. */
struct range__line range__line_of(const struct range__hold *range);

#endif

#endif
