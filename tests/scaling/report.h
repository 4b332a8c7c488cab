/* SPDX-License-Identifier: MIT */
/*
 * report - what was found of the pairs of a suite, in figures.
 */
#ifndef SCALING_REPORT_H
#define SCALING_REPORT_H

#include "suite.h"

/* A pair that does not commute, or is not asked to be free of conflicts. */
void report_left_out(const struct suite *suite, unsigned int pair);

/* A pair that commutes. */
void report_commuting(const struct suite *suite, unsigned int pair, bool conflicts);

/* Prints it all. False: too few pairs are free of conflicts, or one that is not has no reason. */
bool report_print(const struct suite *suite);

#endif
