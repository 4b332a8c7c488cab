/* SPDX-License-Identifier: MIT */
/* The steps of the random test of everything. Each is done in the spaces and in the model. */
#ifndef TESTS_MM_EVERYTHING_H
#define TESTS_MM_EVERYTHING_H

#include "mm_world.h"

struct run {
	struct world world;
	uint64_t seed;
	int fd[WORLD_FILES][2]; /* for reading and writing, and for reading only */
};

static inline unsigned int below(struct run *r, unsigned int limit)
{
	return (unsigned int)test_random_below(&r->seed, limit);
}

static inline uint64_t addr_of(unsigned int page)
{
	return WORLD_BASE + PAGES(page);
}

/* Kinds of operations, from 0 on: those that need no lock but that of their range, and fork. */
#define NR_KINDS     63u
#define FIRST_WITHIN 9u
#define END_WITHIN   18u
#define KIND_FORK    (NR_KINDS - 1)

/* Does a random operation of a kind, and compares the results. */
void mm_everything_operate(struct run *r, struct world_space *s, unsigned int kind);

/* Some operations by themselves, for checks. */
void mm_everything_read(struct run *r, struct world_space *s, uint64_t offset, unsigned int length);
void mm_everything_mincore(struct world_space *s, unsigned int first, unsigned int n);
void mm_everything_resize(struct run *r);

#endif
