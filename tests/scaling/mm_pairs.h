/* SPDX-License-Identifier: MIT */
/*
 * mm_pairs - every ordered pair of calls on an address space, in every relation of their pages; and
 * the model that decides which of them commute.
 */
#ifndef SCALING_MM_PAIRS_H
#define SCALING_MM_PAIRS_H

#include "mm_calls.h"
#include "suite.h"

enum relation {
	FAR,         /* under different entries of the top table */
	NEAR_TABLES, /* under different lowest tables; the VMAs are in one border node at first */
	NEAR,        /* under one lowest table, some pages apart */
	ADJACENT_TABLES, /* the second follows the first, and is under the next lowest table */
	ADJACENT,        /* the second follows the first under one table; their VMAs merge */
	ADJACENT_APART,  /* the same, but their VMAs are of different kinds */
	OVERLAPPING,     /* the second begins at the third page of the first */
	EQUAL,           /* they begin at the same page */
	NR_RELATIONS
};

struct pair {
	const struct function *function[2];
	enum relation relation;
};

extern const char *const relation_names[NR_RELATIONS];

struct pages {
	uint64_t start;
	uint64_t end;
};

struct pages pair_pages(const struct pair *pair, unsigned int side);

enum verdict pair_verdict(const struct pair *pair);

/* The number of all pairs. */
unsigned int nr_pairs(void);
struct pair pair_at(unsigned int number);

#endif
