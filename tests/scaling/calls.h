/* SPDX-License-Identifier: MIT */
/*
 * calls - the functions of a range lock, as calls with an interval and a mode: what must come before
 * the call, the call itself, what puts everything back, and which keys the call concerns.
 */
#ifndef SCALING_CALLS_H
#define SCALING_CALLS_H

#include <mmrange/range_lock.h>

#include <stdalign.h>
#include <stdbool.h>

enum { TWO_LINES = 128, MAX_PARTS = 2 };

struct interval {
	uint64_t start;
	uint64_t end;
};

/* The keys that a call concerns. For reading: it lets others read them at the same time. */
struct footprint {
	unsigned int n;
	struct interval part[MAX_PARTS];
	enum range_mode mode;
};

struct function;

/* The call that a thread makes: its interval is 16 keys at least. On lines of its own. */
struct call {
	alignas(TWO_LINES) struct range_lock *lock;
	const struct function *function;
	struct interval interval;
	enum range_mode mode;
	struct range_request requests[MAX_PARTS];
	alignas(TWO_LINES) struct range_hold hold;
	alignas(TWO_LINES) struct range_hold upper;
};

/* The three steps return false if a function of the lock did not do what it must. */
struct function {
	const char *name;
	const char
		*whole; /* why it concerns the whole lock; NULL: it concerns its footprint alone */
	bool (*before)(struct call *call);
	bool (*call)(struct call *call);
	bool (*after)(struct call *call);
	struct footprint (*footprint)(struct interval interval, enum range_mode mode);
};

extern const struct function functions[];
extern const unsigned int nr_functions;
extern const unsigned int nr_acquiring_functions; /* the first ones: they only take or give back */

bool footprints_conflict(const struct footprint *a, const struct footprint *b);

#endif
