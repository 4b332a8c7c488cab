/* SPDX-License-Identifier: MIT */
/* The simulated side: struct mm, used as a program uses it. */
#ifndef TESTS_ORACLE_SIMULATED_H
#define TESTS_ORACLE_SIMULATED_H

#include "files.h"
#include "record.h"

/* What struct mm can do, of enum feature. What is missing here is not asked for. */
enum { SIMULATED_FEATURES = 0, SIMULATED_LOCKINGS = MM_LOCKING_RWLOCK + 1 };

/*
 * Runs the sequence and writes what its operations did to the records. Leaves out what the kernel's
 * side has left out, and follows it where the records say so.
 */
void simulated_run(const struct sequence *sequence, const struct files *files,
		   const struct record *kernel, struct record *records);

#endif
