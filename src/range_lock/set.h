/* SPDX-License-Identifier: MIT */
/*
 * set - what one acquisition asks for: a range, or the ranges of range_lock_many(), which are
 * sorted and do not overlap.
 */
#ifndef RANGE_LOCK_SET_H
#define RANGE_LOCK_SET_H

#include "leaf.h"

struct range__set {
	struct range__lock *lock;
	struct range__hold *one; /* NULL: the set has requests */
	const struct range_request *requests;
	size_t n;
	struct range__leaf *hint;   /* where the first range may begin; NULL: unknown */
	struct range__hold *queued; /* while it waits: the range that stands in a queue */
	struct range__wait *wait;   /* while a thread waits with it: see deadlock.h */
};

/* The set of one range. */
static inline struct range__set range__set_of(struct range__lock *lock, struct range__hold *range)
{
	return (struct range__set){ .lock = lock, .one = range, .n = 1 };
}

static inline struct range__hold *range__set_hold(const struct range__set *set, size_t i)
{
	return set->one ? set->one : range__hold(set->requests[i].range);
}

/* With all leaves locked, or the first one: whether the waiting set has made a claim. */
static inline bool range__set_claims(const struct range__set *set)
{
	return range__set_hold(set, 0)->how & RANGE__CLAIMS;
}

/* A walk through the leaves that a set overlaps, in order, each once. The leaves are locked. */
struct range__walk {
	const struct range__set *set;
	size_t i;                 /* a range of the set */
	struct range__leaf *leaf; /* a leaf of that range; NULL at the end */
};

static inline struct range__walk range__walk_first(const struct range__set *set)
{
	return (struct range__walk){ set, 0, range__set_hold(set, 0)->leaf[0] };
}

static inline void range__walk_next(struct range__walk *walk)
{
	while (walk->leaf == range__set_hold(walk->set, walk->i)->leaf[1]) {
		struct range__leaf *next;

		if (++walk->i == walk->set->n) {
			walk->leaf = NULL;
			return;
		}
		next = range__set_hold(walk->set, walk->i)->leaf[0];
		if (next != walk->leaf) {
			walk->leaf = next;
			return;
		}
	}
	walk->leaf = range__leaf_right(walk->leaf);
}

#endif
