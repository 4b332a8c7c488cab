/* SPDX-License-Identifier: MIT */
/*
 * controls - pairs of calls whose conflicts are known. They show that a program finds all
 * conflicts, and no others.
 */
#ifndef SCALING_CONTROLS_H
#define SCALING_CONTROLS_H

#include "stage.h"

struct control {
	const char *name;
	struct steps side[2]; /* their call is NULL */
	unsigned int lines;   /* the number of lines that conflict */
};

extern const struct control controls[];
extern const unsigned int nr_controls;

#endif
