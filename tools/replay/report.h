/* SPDX-License-Identifier: MIT */
/* The output of mmrange-replay: tables, or JSON. */
#ifndef REPLAY_REPORT_H
#define REPLAY_REPORT_H

#include "replay.h"

/* One mode's median run. */
struct report_row {
	enum mm_locking mode;
	struct replay_result result;
	struct mm_stats stats;
};

struct report {
	const char *path;
	const struct trace *trace;
	uint32_t threads;
	uint32_t repeat;
	size_t dependencies;
	const struct report_row *rows;
	unsigned int row_count;
};

void report_table(const struct report *report, FILE *file);

/* An array with one object for each trace: begin, each, end. */
void report_json_begin(FILE *file);
void report_json(const struct report *report, bool first, FILE *file);
void report_json_end(FILE *file);

#endif
