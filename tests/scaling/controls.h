/* SPDX-License-Identifier: MIT */
/*
 * controls - pairs of calls whose conflicts are known, to see that conflicts are found where they are
 * and nowhere else.
 */
#ifndef SCALING_CONTROLS_H
#define SCALING_CONTROLS_H

#include "calls.h"

struct control {
	struct function side[2];
	unsigned int lines; /* that conflict */
};

extern const struct control controls[];
extern const unsigned int nr_controls;

#endif
