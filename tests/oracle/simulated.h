/* SPDX-License-Identifier: MIT */
/* The simulated side: struct mm, used as a program would use it. */
#ifndef TESTS_ORACLE_SIMULATED_H
#define TESTS_ORACLE_SIMULATED_H

#include "files.h"
#include "record.h"

/* The features of struct mm, and the number of its locking modes. */
enum { SIMULATED_FEATURES = FEATURE_ALL, SIMULATED_LOCKINGS = MM_LOCKING_SPECULATIVE + 1 };

/*
 * Runs the sequence. Leaves out operations that the kernel's side has left out, and follows that
 * side where README.md demands it.
 */
void simulated_run(const struct sequence *sequence, const struct files *files,
		   const struct side *kernel, struct side *side);

#endif
