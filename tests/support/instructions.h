/* SPDX-License-Identifier: MIT */
/*
 * What a call costs, in instructions: the same number each time, on a busy machine, too. It is
 * counted in a child process, which the test single-steps.
 */
#ifndef TESTS_INSTRUCTIONS_H
#define TESTS_INSTRUCTIONS_H

#include "test.h"

#include <stdbool.h>

struct instructions {
	uint64_t all;
	uint64_t atomic; /* those that lock a cache line; x86-64 only, otherwise 0 */
};

/* Whether they can be counted here; if not, prints why. */
bool can_count_instructions(void);

/*
 * What run(arg) executes, in a child of this process. It is run once before, so that what happens
 * in the first call only (a page is touched, a symbol is bound) is not counted. Must be called while
 * there is one thread.
 */
struct instructions count_instructions(void (*run)(void *arg), void *arg);

#endif
