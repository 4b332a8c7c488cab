/* SPDX-License-Identifier: MIT */
/*
 * deadlock_reach - what a search finds in one leaf: the waits and requests that a range waits for
 * there. All of it needs the mutex of deadlock_register.h.
 */
#ifndef RANGE_LOCK_DEADLOCK_REACH_H
#define RANGE_LOCK_DEADLOCK_REACH_H

#include "deadlock_front.h"
#include "wait_tree.h"

#ifdef MMRANGE_CHECKED

/* A range of a request that does not lie in one leaf alone, and so has claimed. */
struct range__claimer {
	struct range__lock *lock;
	const struct range__hold *range; /* an address to compare */
	uint64_t arrival;
	uint64_t start, end;
	enum range_mode mode;
	struct range__wait *from; /* this wait leads to it */
	struct range__line self;
};

/* More of them a search does not go on from. One that another one covers is not counted. */
enum { RANGE__MOST_CLAIMERS = 256 };

struct range__search {
	uint64_t number;
	struct range__wait *start;
	struct range__request_name request; /* start stands for it; or without a first range */
	struct range__wait *first;          /* of the list of waits to go on from */
	struct range__wait **last;
	unsigned int nr_claimers, next_claimer;
	struct range__claimer *claimers; /* room for MOST_CLAIMERS */
	bool found;
	bool unsure;
};

/* A wait leads to this one, by a mutex of the thread owner. */
void range__reach_mutex_owner(struct range__search *search, struct range__wait *from,
			      uint64_t owner);

/*
 * With the leaf locked: reaches all that the front waits for there. The front is one range, in
 * which from and before are set, too; the requests of this leaf join it.
 */
void range__reach_in_leaf(struct range__search *search, struct range__leaf *leaf,
			  struct range__front *front, struct range__hold *range);

/* With a leaf locked: reaches the waits of all threads that hold a conflicting range in it. */
void range__reach_held(struct range__search *search, struct range__leaf *leaf,
		       const struct range__front *front);

/*
 * With a leaf locked that one of its ranges overlaps: the search is going to go on from a request
 * that claims.
 */
void range__reach_claimer(struct range__search *search, const struct range__front *front,
			  struct range__hold *request);

static inline bool range__is_named(const struct range__hold *request,
				   const struct range__request_name *name)
{
	return range__acquisition(request) == (uintptr_t)name->first &&
	       request->arrival == name->arrival;
}

#endif

#endif
