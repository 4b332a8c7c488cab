/* SPDX-License-Identifier: MIT */
/*
 * trial - tries all pairs of a suite on two simulated cores, and reports.
 *
 * main() of a program, whose only argument may be -v, to name the pairs that conflict as lines of CSV.
 * Returns 1 if too few pairs are free of conflicts, or one of those that are not has no reason, or a
 * function did not do what it must; 3 without the plugin.
 */
#ifndef SCALING_TRIAL_H
#define SCALING_TRIAL_H

#include "suite.h"

int trial_main(int argc, char **argv, const struct suite *suite);

#endif
