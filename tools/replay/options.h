/* SPDX-License-Identifier: MIT */
/* The command line of mmrange-replay. */
#ifndef REPLAY_OPTIONS_H
#define REPLAY_OPTIONS_H

#include <mmrange/mm.h>

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_MODES 4

struct options {
	enum mm_locking modes[OPTIONS_MODES]; /* each at most once */
	unsigned int mode_count;
	uint32_t threads; /* 0: as recorded */
	uint32_t repeat;
	bool json;
	bool help;
	char **traces; /* within argv */
	int trace_count;
};

/* "rwlock", "coarse", "range", "speculative" */
const char *mode_name(enum mm_locking mode);

/* Sorts the traces to the end of argv. 0; or EINVAL with the error in message (256 bytes). */
int options_parse(struct options *options, int argc, char **argv, char *message);

#endif
