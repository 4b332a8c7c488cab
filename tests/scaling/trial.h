/* SPDX-License-Identifier: MIT */
/*
 * trial - tries all pairs of a suite on two simulated cores, and reports.
 *
 * A program's main() calls trial_main() with its arguments. With -v, trial_main() prints each pair
 * that conflicts, as a line of CSV. It returns 1 if too few pairs are free of conflicts, if a pair
 * conflicts without a reason, if a control has no conflict, or if a function failed; 3 without the
 * plugin.
 */
#ifndef SCALING_TRIAL_H
#define SCALING_TRIAL_H

#include "suite.h"

int trial_main(int argc, char **argv, const struct suite *suite);

#endif
