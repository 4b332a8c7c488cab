/* SPDX-License-Identifier: MIT */
/*
 * recording - the events of one program, from the text of perf script. Of all processes in the
 * text, and of all programs that a process has executed, it is the program with the most events.
 */
#ifndef REPLAY_RECORDING_H
#define REPLAY_RECORDING_H

#include "drops.h"
#include "perf_text.h"

#include <stdbool.h>

/* The partner of a system call's record without its other half. */
#define RECORD_ALONE SIZE_MAX

struct record {
	uint64_t time;
	uint64_t args[PERF_MAX_ARGS];
	size_t line;    /* its number in the text, from 1 */
	size_t partner; /* of an enter its exit, and vice versa; or RECORD_ALONE */
	uint32_t pid;
	uint32_t tid;
	uint32_t image; /* a number for each program that a process has executed */
	enum perf_line type;
	enum perf_syscall syscall;
};

struct recording {
	struct record *records; /* in the order of time */
	size_t count;
	size_t capacity;
	size_t lines;
	char program[TRACE_NAME_SIZE]; /* the file's name without its directory; empty if unknown */
};

/*
 * Reads all of the text, and counts unused events in drops. 0; EINVAL with a sentence in message:
 * the text is cut, or has no event; ENOMEM; EIO and other errors of reading.
 */
int recording_read(struct recording *recording, FILE *file, struct drops *drops, char *message,
		   size_t message_size);

void recording_destroy(struct recording *recording);

#endif
