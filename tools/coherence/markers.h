/* SPDX-License-Identifier: MIT */
/*
 * markers - what a program tells the plugin: calls of a system call that does not exist. Under QEMU
 * with the plugin they are seen, elsewhere they do nothing.
 */
#ifndef COHERENCE_MARKERS_H
#define COHERENCE_MARKERS_H

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MARKER_SYSCALL = 0x5eed };

enum marker {
	/* (core, cores, &over): this thread is a core from now on; meets the others. over is an
	 * atomic_ulong, MARKER_PROBE at first, for the plugin to see that it can reach it. */
	MARKER_ENTER = 1,
	/* (): waits for all cores, and begins a round: over is 0. It becomes 1 when there have been
	 * enough transfers, or somebody is done. */
	MARKER_MEET,
	/* (&operations): the same; this round is counted. The thread keeps the number of operations
	 * that it has done in it, an atomic_ulong, at this address. The end of the round is that of the
	 * simulation. */
	MARKER_COUNT,
	/* (): this thread has done its share: the round is over. */
	MARKER_DONE,
	/* (address, size, name): what the hottest lines there are called. */
	MARKER_NAME,
	/* (on): begins, or ends, to watch which lines the thread, a core, loads and stores. */
	MARKER_WATCH,
	/* (&conflicts): what was watched since the last time, a struct marker_conflicts; the watch
	 * begins afresh. Without the plugin it stays as it is. */
	MARKER_CONFLICTS,
	/* (us): the clock of the thread, a core, goes on by so many microseconds, and at the next
	 * meeting the clocks of all. */
	MARKER_LAPSE,
	/* (): the plugin empties all caches. A program that goes on with other memory needs this, as the
	 * plugin has room for a million lines. */
	MARKER_FORGET,
	/* (): the end of the simulation, for a program that counts no round. */
	MARKER_END,
};

enum { MARKER_CONFLICTS_NAMED = 8, MARKER_FUNCTION_SIZE = 32 };

/* A line, and for each of the two cores a function in which it touched the line. */
struct marker_conflict {
	uint64_t line;                          /* its address */
	char function[2][MARKER_FUNCTION_SIZE]; /* "": the plugin does not know its name */
};

/* Lines that one core wrote and another one loaded or stored, in whatever order. */
struct marker_conflicts {
	uint64_t lines;                                          /* how many */
	struct marker_conflict conflict[MARKER_CONFLICTS_NAMED]; /* the first ones */
};

#define MARKER_PROBE 0x5eed5eedc0ffee00u

static inline void marker(enum marker what, uintptr_t a, uintptr_t b, uintptr_t c)
{
	syscall(MARKER_SYSCALL, (long)what, a, b, c);
}

#endif
