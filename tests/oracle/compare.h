/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ORACLE_COMPARE_H
#define TESTS_ORACLE_COMPARE_H

#include "record.h"

/*
 * What differs between the two sides, after the operation with this index: a sentence. NULL if
 * nothing does but what README.md lists.
 */
const char *compare(const struct sequence *sequence, unsigned int index,
		    const struct record *kernel, const struct record *simulated);

/* All that is in a record. */
void record_print(FILE *out, const struct op *op, const struct record *record);

#endif
