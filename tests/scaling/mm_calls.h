/* SPDX-License-Identifier: MIT */
/*
 * mm_calls - the functions of an address space, as calls on a few pages: the call itself, its
 * preparation and its undoing, and the state of the pages that it depends on.
 */
#ifndef SCALING_MM_CALLS_H
#define SCALING_MM_CALLS_H

#include "stage.h"

#include <mmrange/mm.h>

#include <stdalign.h>
#include <stdbool.h>

enum { MAX_PAGES = 4 };

/* State that calls read and change. */
enum aspect {
	MAPPING = 1,  /* the VMAs that the pages lie in */
	PRESENCE = 2, /* whether the pages are present */
	BYTES = 4,    /* their contents */
	HEAP = 8,     /* the end of the heap; each space has one */
};

/* The call that a thread makes. */
struct call {
	alignas(TWO_LINES) struct mm *mm;
	uint64_t start;
	uint64_t length;
	int flags; /* of mm_mmap(), in addition to those of all calls */
	unsigned char present[MAX_PAGES];
	alignas(TWO_LINES) struct mm_hold hold;
};

struct function {
	const char *name;
	const char *whole; /* why the call concerns the whole space; NULL: it concerns its pages
			      alone */
	unsigned int pages;
	/*
	 * Of enum aspect. Two calls may add the same state: the second call then finds its work
	 * done already.
	 */
	unsigned int reads;
	unsigned int adds;
	unsigned int writes;
	/* Maps, once, the VMAs that exist between any two calls. */
	bool (*settle)(struct call *call);
	struct steps steps;
};

extern const struct function functions[];
extern const unsigned int nr_functions;

/* Whether the function adds or removes VMAs. */
bool function_maps(const struct function *function);

/* Two calls conflict if one changes state that the other reads or changes. */
bool functions_conflict(const struct function *a, const struct function *b, bool share_pages);

#endif
