/* SPDX-License-Identifier: MIT */
/*
 * suite - the pairs of calls that a program tries: by number, as each program has pairs of its own.
 */
#ifndef SCALING_SUITE_H
#define SCALING_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict {
	CONFLICTS,
	CONCERNS_THE_WHOLE, /* one of the two calls does by definition, see struct whole */
	COMMUTES
};

struct pair;

/* Why pairs that commute are allowed to conflict over cache lines. */
struct reason {
	const char *name;
	const char *text;
	bool (*applies)(const struct pair *pair);
};

/* A function, and why it concerns all of the object; NULL: it does not. */
struct whole {
	const char *name;
	const char *why;
};

struct suite {
	const char *object;   /* that the calls are made on */
	double least_percent; /* so many of a hundred commuting pairs must be free of conflicts */
	unsigned int nr_pairs;
	unsigned int nr_functions;
	/* The table of results. */
	unsigned int nr_rows;
	unsigned int nr_columns;
	const char *const *row_names;
	const char *const *column_names;
	unsigned int nr_reasons;
	const struct reason *reasons;

	struct whole (*function)(unsigned int number);

	/* Of a pair. */
	enum verdict (*verdict)(unsigned int pair);
	unsigned int (*whole)(unsigned int pair); /* the function, the first of the two that does */
	unsigned int (*row)(unsigned int pair);
	unsigned int (*column)(unsigned int pair);
	/* The first one that applies to it is the pair's; nr_reasons: it has none. */
	unsigned int (*reason)(unsigned int pair);
	void (*name)(unsigned int pair, char *text, size_t size);
	/* Whether it does not commute, but is tried, to see that its conflict is found. NULL: none is. */
	bool (*control)(unsigned int pair);

	/* By the leader, in this order; false: a function did not do what it must. */
	bool (*set)(unsigned int pair);
	void (*warm_up)(void);
	void (*warm_up_more)(void); /* if they conflict without a reason, so many times at most */
	unsigned int more;
	bool (*clear)(void);

	/* Which memory an address is in, of an object that is set. */
	const char *(*place)(uint64_t address);
};

#endif
