/* SPDX-License-Identifier: MIT */
/*
 * suite - the pairs of calls that a program tries. Numbers identify them, because each program
 * defines its own struct pair.
 */
#ifndef SCALING_SUITE_H
#define SCALING_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict {
	CONFLICTS,
	CONCERNS_THE_WHOLE, /* by definition, one of the two calls concerns the whole object; see
			       struct whole */
	COMMUTES
};

struct pair;

/* Why some pairs that commute may conflict over cache lines. */
struct reason {
	const char *name;
	const char *text;
	bool (*applies)(const struct pair *pair);
};

/* A function, and why it concerns the whole object. NULL: it concerns a part. */
struct whole {
	const char *name;
	const char *why;
};

struct suite {
	const char *object;   /* the object of the calls: "lock" */
	double least_percent; /* of the commuting pairs that must be free of conflicts */
	unsigned int nr_pairs;
	unsigned int nr_functions;

	/* Of the table of results. */
	unsigned int nr_rows;
	unsigned int nr_columns;
	const char *const *row_names;
	const char *const *column_names;
	unsigned int nr_reasons;
	const struct reason *reasons;

	struct whole (*function)(unsigned int number);

	/* The argument of these functions is the number of a pair. */
	enum verdict (*verdict)(unsigned int pair);
	unsigned int (*whole)(unsigned int pair); /* the first function that concerns the whole */
	unsigned int (*row)(unsigned int pair);
	unsigned int (*column)(unsigned int pair);
	/* Returns the first reason that applies to the pair, or nr_reasons. */
	unsigned int (*reason)(unsigned int pair);
	void (*name)(unsigned int pair, char *text, size_t size);
	/*
	 * Whether to try a pair that does not commute, as a control: the program must find its
	 * conflict. May be NULL.
	 */
	bool (*control)(unsigned int pair);

	/* The leader calls these functions, in this order. They return false if a call failed. */
	bool (*set)(unsigned int pair);
	void (*warm_up)(void);
	void (*warm_up_more)(void); /* while the pair conflicts without a reason, .. */
	unsigned int more;          /* .. so many times at most */
	bool (*clear)(void);

	/* Returns the name of the memory that contains an address, between set() and clear(). */
	const char *(*place)(uint64_t address);
};

#endif
