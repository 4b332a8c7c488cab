/* SPDX-License-Identifier: MIT */
/*
 * convert - makes a trace of a recording: an order of its operations in which one thread can do all
 * of them.
 *
 * A fault happens at its time. A system call happens at some moment between its enter and its exit:
 * munmap and madvise as they enter, since no other thread has a use for the memory any more; mmap,
 * mprotect, mremap and brk as they exit, or just before the first event of another thread that
 * needs what they do (the program that knows of a mapping before its mmap has returned is real).
 */
#ifndef REPLAY_CONVERT_H
#define REPLAY_CONVERT_H

#include "drops.h"
#include "recording.h"
#include "trace_format.h"

/* What was taken, but not as it was. */
struct conversion {
	size_t files;    /* mappings of files, now private anonymous ones */
	size_t early;    /* system calls that another thread's event drew forward */
	size_t replaced; /* not MAP_FIXED, yet over something: exec's mappings were guessed wrong */
	size_t exec_vmas;
	uint64_t exec_pages;
};

/* 0 or ENOMEM. On error *trace is all zeroes. */
int convert(const struct recording *recording, struct trace *trace, struct drops *drops,
	    struct conversion *conversion);

#endif
