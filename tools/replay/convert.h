/* SPDX-License-Identifier: MIT */
/*
 * convert - makes a trace of a recording: an order of its operations in which one thread can do all
 * of them.
 *
 * A fault happens at its time. A system call happens at some moment between its enter and its exit.
 * munmap and madvise happen as they enter, because no other thread uses the memory any more. mmap,
 * mprotect, mremap and brk happen as they exit, or just before the first event of another thread
 * that needs them (a program can know of a mapping before its mmap has returned).
 */
#ifndef REPLAY_CONVERT_H
#define REPLAY_CONVERT_H

#include "drops.h"
#include "recording.h"
#include "trace_format.h"

/* Operations that the trace has, but in another form. */
struct conversion {
	size_t files;    /* mappings of files, now private anonymous ones */
	size_t early;    /* system calls that another thread's event moved forward */
	size_t replaced; /* not MAP_FIXED, but over a wrong guess of exec's mappings */
	size_t exec_vmas;
	uint64_t exec_pages;
};

/* 0 or ENOMEM. On error *trace is all zeroes. */
int convert(const struct recording *recording, struct trace *trace, struct drops *drops,
	    struct conversion *conversion);

#endif
