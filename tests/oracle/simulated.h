/* SPDX-License-Identifier: MIT */
/* The simulated side: struct mm, used as a program uses it. */
#ifndef TESTS_ORACLE_SIMULATED_H
#define TESTS_ORACLE_SIMULATED_H

#include "files.h"
#include "record.h"

/* What struct mm can do, of enum feature, and how many of enum mm_locking it has. */
enum { SIMULATED_FEATURES = FEATURE_ALL, SIMULATED_LOCKINGS = MM_LOCKING_SPECULATIVE + 1 };

/*
 * Runs the sequence. Leaves out what the kernel's side has left out, and follows it where README.md
 * says so.
 */
void simulated_run(const struct sequence *sequence, const struct files *files,
		   const struct side *kernel, struct side *side);

#endif
