/* SPDX-License-Identifier: MIT */
/*
 * controls - pairs of calls whose conflicts are known, to see that conflicts are found where they are
 * and nowhere else.
 */
#ifndef SCALING_CONTROLS_H
#define SCALING_CONTROLS_H

#include "stage.h"

struct control {
	const char *name;
	struct steps side[2]; /* they take NULL for a call */
	unsigned int lines;   /* that conflict */
};

extern const struct control controls[];
extern const unsigned int nr_controls;

#endif
