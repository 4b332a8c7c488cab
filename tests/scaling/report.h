/* SPDX-License-Identifier: MIT */
/*
 * report - the results of the pairs of a suite, in figures.
 */
#ifndef SCALING_REPORT_H
#define SCALING_REPORT_H

#include "suite.h"

/* Adds a pair that does not commute, or that need not be free of conflicts. */
void report_left_out(const struct suite *suite, unsigned int pair);

/* Adds a pair that commutes. */
void report_commuting(const struct suite *suite, unsigned int pair, bool conflicts);

/*
 * Prints everything. Returns false if too few pairs are free of conflicts, or one conflicts without
 * a reason.
 */
bool report_print(const struct suite *suite);

#endif
