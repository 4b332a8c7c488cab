/* SPDX-License-Identifier: MIT */
/*
 * pairs - every ordered pair of calls, in every relation of their intervals, each in both modes,
 * and in every state of the lock before them; and the model that decides which of them commute.
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

/* The ranges that other threads hold in the leaves around both intervals. */
enum state {
	NOTHING_HELD,
	ONE_HELD,
	SEVERAL_HELD,
	BIASED, /* no range is held, and the leaves are biased to readers */
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

/* Two calls commute if, in either order, neither changes the effect of the other. */
enum verdict pair_verdict(const struct pair *pair);

/* The number of all pairs. */
unsigned int nr_pairs(void);
struct pair pair_at(unsigned int number);

#endif
