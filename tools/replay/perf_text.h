/* SPDX-License-Identifier: MIT */
/*
 * Parses the text of perf script --ns -F pid,tid,time,event,trace: one event a line,
 *
 *	PID/TID SECONDS: SYSTEM:EVENT: FIELDS
 */
#ifndef REPLAY_PERF_TEXT_H
#define REPLAY_PERF_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* The system calls that the parser recognises. */
enum perf_syscall {
	PERF_MMAP,
	PERF_MUNMAP,
	PERF_MPROTECT,
	PERF_MREMAP,
	PERF_MADVISE,
	PERF_BRK,
	PERF_SYSCALLS
};

/* The kinds of lines. */
enum perf_line {
	PERF_FAULT,   /* args: address, error code */
	PERF_ENTER,   /* args: those of the system call */
	PERF_EXIT,    /* args: the result */
	PERF_PROGRAM, /* sched_process_exec: the process has a new address space */
	PERF_CLONE,   /* sched_process_fork */
	/* Unusable lines: */
	PERF_OTHER_EVENT,
	PERF_DAMAGED, /* an event of a known kind, with fields missing or unreadable */
	PERF_OTHER_SHAPE,
	PERF_LINES
};

#define PERF_MAX_ARGS 6

/* The bits of a page fault's error code on x86 that the converter uses. */
#define PERF_FAULT_WRITE 0x2
#define PERF_FAULT_FETCH 0x10

struct perf_event {
	uint64_t time; /* in nanoseconds */
	uint64_t args[PERF_MAX_ARGS];
	uint32_t pid;
	uint32_t tid;
	enum perf_line line;
	enum perf_syscall syscall; /* of PERF_ENTER and PERF_EXIT */
	const char
		*program; /* of PERF_PROGRAM: points into the line, up to the next blank; or NULL */
};

const char *perf_syscall_name(enum perf_syscall syscall);

/* Parses one line without its newline. Returns its kind; *event is complete for the first five. */
enum perf_line perf_parse(const char *line, struct perf_event *event);

#endif
