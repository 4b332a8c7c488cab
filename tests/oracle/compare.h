/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ORACLE_COMPARE_H
#define TESTS_ORACLE_COMPARE_H

#include "record.h"

/*
 * The difference between the two sides after the operation with this index, as a sentence; or NULL
 * if there is none but those that README.md lists.
 */
const char *compare(const struct sequence *sequence, unsigned int index,
		    const struct record *kernel, const struct record *simulated);

/* Prints the whole record. */
void record_print(FILE *out, const struct op *op, const struct record *record);

#endif
