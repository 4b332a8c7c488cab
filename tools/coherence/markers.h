/* SPDX-License-Identifier: MIT */
/*
 * markers - how a program talks to the plugin: calls of a system call that does not exist. QEMU
 * with the plugin sees them; elsewhere they have no effect.
 */
#ifndef COHERENCE_MARKERS_H
#define COHERENCE_MARKERS_H

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MARKER_SYSCALL = 0x5eed };

enum marker {
	/*
	 * (core, cores, &over): this thread is a core from now on, and meets the others. over is an
	 * atomic_ulong, MARKER_PROBE at first, by which the plugin checks that it can reach it.
	 */
	MARKER_ENTER = 1,
	/*
	 * (): waits for all cores, and begins a round: over is 0. It becomes 1 when there have been
	 * enough transfers, or when a thread is done.
	 */
	MARKER_MEET,
	/*
	 * (&operations): the same, and the plugin counts this round. At this address, an
	 * atomic_ulong, the thread keeps the number of operations that it has done in the round.
	 * The end of the round is the end of the simulation.
	 */
	MARKER_COUNT,
	/* (): this thread has done its share, so the round is over. */
	MARKER_DONE,
	/* (address, size, name): the name of the hottest lines there. */
	MARKER_NAME,
	/* (on): begins, or ends, to watch the lines that the thread, a core, loads and stores. */
	MARKER_WATCH,
	/*
	 * (&conflicts): reports the lines watched since the last time, in a struct
	 * marker_conflicts, and begins a new watch. Without the plugin the structure does not
	 * change.
	 */
	MARKER_CONFLICTS,
	/*
	 * (us): advances the clock of the thread, a core, by that many microseconds, and at the
	 * next meeting the clocks of all cores.
	 */
	MARKER_LAPSE,
	/*
	 * (): the plugin empties all caches. A program that goes on with other memory needs this,
	 * because the plugin has room for a million lines.
	 */
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

/* Lines that one core wrote and another one loaded or stored, in either order. */
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
