/* SPDX-License-Identifier: MIT */
/*
 * The cost of a call, in instructions: the same number each time, on a busy machine, too. A test
 * counts them in a child process, which it single-steps.
 */
#ifndef TESTS_INSTRUCTIONS_H
#define TESTS_INSTRUCTIONS_H

#include "test.h"

#include <stdbool.h>

struct instructions {
	uint64_t all;
	uint64_t atomic; /* instructions that lock a cache line; x86-64 only, otherwise 0 */
};

/* Whether instructions can be counted here; if not, prints why. */
bool can_count_instructions(void);

/*
 * Counts the instructions of run(arg), in a child of this process. The child runs it once before,
 * so that the count excludes the costs of the first call only (touching a page, binding a symbol).
 * Must be called while the process has one thread.
 */
struct instructions count_instructions(void (*run)(void *arg), void *arg);

#endif
