/* SPDX-License-Identifier: MIT */
/*
 * calls - the functions of a range lock, as calls with an interval and a mode: the preparation, the
 * call itself, its undoing, and the keys that the call concerns.
 */
#ifndef SCALING_CALLS_H
#define SCALING_CALLS_H

#include "stage.h"

#include <mmrange/range_lock.h>

#include <stdalign.h>
#include <stdbool.h>

enum { MAX_PARTS = 2 };

struct interval {
	uint64_t start;
	uint64_t end;
};

/* The keys that a call concerns. For reading: other calls may read them at the same time. */
struct footprint {
	unsigned int n;
	struct interval part[MAX_PARTS];
	enum range_mode mode;
};

/* The call that a thread makes. Its interval has at least 16 keys. */
struct call {
	alignas(TWO_LINES) struct range_lock *lock;
	struct interval interval;
	enum range_mode mode;
	struct range_request requests[MAX_PARTS];
	alignas(TWO_LINES) struct range_hold hold;
	alignas(TWO_LINES) struct range_hold upper;
};

struct function {
	const char *name;
	const char
		*whole; /* why it concerns the whole lock; NULL: it concerns its footprint alone */
	struct steps steps;
	struct footprint (*footprint)(struct interval interval, enum range_mode mode);
};

extern const struct function functions[];
extern const unsigned int nr_functions;
extern const unsigned int
	nr_acquiring_functions; /* the first ones: they only acquire and release */

bool footprints_conflict(const struct footprint *a, const struct footprint *b);

#endif
