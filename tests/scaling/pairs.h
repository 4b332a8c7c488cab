/* SPDX-License-Identifier: MIT */
/*
 * pairs - every ordered pair of calls, in every relation of their intervals, in both modes each, and
 * in every state of the lock before them; and the model that says which of them commute.
 */
#ifndef SCALING_PAIRS_H
#define SCALING_PAIRS_H

#include "calls.h"
#include "suite.h"

enum relation {
	FAR,
	NEAR,
	ADJACENT,
	OVERLAPPING,
	NESTED,
	EQUAL,
	/* The lock has been made to split between two keys of the first interval, or of both. */
	ONE_STRADDLES,
	BOTH_STRADDLE,
	NR_RELATIONS
};

/* What is in the leaves around both intervals, held by neither of the two threads. */
enum state {
	NOTHING_HELD,
	ONE_HELD,
	SEVERAL_HELD,
	BIASED, /* nothing is held, and the leaves were given over to readers */
	NR_STATES
};

enum { NR_MODES = 2 };

struct side {
	const struct function *function;
	enum range_mode mode;
};

struct pair {
	struct side side[2];
	enum relation relation;
	enum state state;
};

extern const char *const relation_names[NR_RELATIONS];
extern const char *const state_names[NR_STATES];

/* Where the lock is split before calls that straddle. */
enum { BOUNDARY = 1 << 20 };

struct interval pair_interval(const struct pair *pair, unsigned int side);

/* Two calls commute if neither keeps the other from what it does, in whatever order they come. */
enum verdict pair_verdict(const struct pair *pair);

/* All of them, by number. */
unsigned int nr_pairs(void);
struct pair pair_at(unsigned int number);

#endif
