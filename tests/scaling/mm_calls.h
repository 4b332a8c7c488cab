/* SPDX-License-Identifier: MIT */
/*
 * mm_calls - the functions of an address space, as calls on a place: what must be mapped there, what must
 * come before the call, the call itself, what puts everything back, and what the call concerns.
 */
#ifndef SCALING_MM_CALLS_H
#define SCALING_MM_CALLS_H

#include "stage.h"

#include <mmrange/mm.h>

#include <stdalign.h>
#include <stdbool.h>

enum { MAX_PAGES = 4 };

/* What a call reads or changes of its pages; the last one, of the space. */
enum aspect {
	MAPPING = 1,  /* which areas there are, and of which kind */
	PRESENCE = 2, /* which pages are present */
	BYTES = 4,    /* what is in them */
	HEAP = 8,     /* where the heap ends */
};

/* The call that a thread makes. */
struct call {
	alignas(TWO_LINES) struct mm *mm;
	uint64_t start;
	uint64_t length;
	int flags; /* that set its areas apart from the other call's */
	unsigned char present[MAX_PAGES];
	alignas(TWO_LINES) struct mm_hold hold;
};

struct function {
	const char *name;
	const char *whole; /* why it concerns the whole space; NULL: it concerns its pages alone */
	unsigned int pages;
	/* Of enum aspect. What it adds it makes so if it is not: two calls may add the same. */
	unsigned int reads;
	unsigned int adds;
	unsigned int writes;
	/* Maps what is mapped between two calls, once. */
	bool (*settle)(struct call *call);
	struct steps steps;
};

extern const struct function functions[];
extern const unsigned int nr_functions;

/* Whether the function changes which areas there are. */
bool function_maps(const struct function *function);

/* Two calls commute if neither changes what the other reads or changes, in whatever order they come. */
bool functions_conflict(const struct function *a, const struct function *b, bool share_pages);

#endif
