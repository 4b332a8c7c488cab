/* SPDX-License-Identifier: MIT */
/* The mode of a sequence: the operations that it has more of, and their places. */
#ifndef TESTS_ORACLE_MODES_H
#define TESTS_ORACLE_MODES_H

#include "op.h"

#include "test.h"

#define NR_ANCHORS 8

struct generator {
	uint64_t random;
	enum mode mode;
	unsigned int features;
	unsigned int pages; /* of the window */
	unsigned int span;  /* most operations are at most so far from an anchor, in pages */
	unsigned int anchors[NR_ANCHORS]; /* pages of the window */
};

static inline uint64_t below(struct generator *g, uint64_t limit)
{
	return test_random_below(&g->random, limit);
}

static inline bool one_in(struct generator *g, uint64_t n)
{
	return below(g, n) == 0;
}

#define PAGES(n)         ((uint64_t)(n)*MM_PAGE_SIZE)
#define PICK(g, choices) ((choices)[below(g, sizeof(choices) / sizeof((choices)[0]))])

/* Chooses one of the modes that the features allow, and fills in all but the operations. */
void choose_mode(struct generator *g, struct sequence *sequence);

/* The kind of the next operation. */
enum op_kind choose_kind(struct generator *g);

/* A page of the window near an anchor. */
uint64_t choose_page(struct generator *g);

#endif
