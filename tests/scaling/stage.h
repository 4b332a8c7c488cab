/* SPDX-License-Identifier: MIT */
/*
 * stage - threads that are simulated cores, and make the calls that the first of them orders.
 *
 * The first core is the leader. All other cores wait until it orders a step, of all cores or of
 * one. All cores take a step at the same time, as simulated cores do. The orders are on cache lines
 * that the calls do not use.
 */
#ifndef SCALING_STAGE_H
#define SCALING_STAGE_H

#include <stdbool.h>
#include <stdint.h>

enum { TWO_LINES = 128 };

enum step { STEP_BEFORE, STEP_CALL, STEP_AFTER, STEP_TIMES, STEP_END };

/* The arguments of a call. Each program defines its own, on cache lines of their own. */
struct call;

/* A call, its preparation, and its undoing. A step returns false if a function failed. */
struct steps {
	bool (*before)(struct call *call);
	bool (*call)(struct call *call);
	bool (*after)(struct call *call);
};

extern unsigned int stage_cores;

/* Runs direct() in the leader. Returns false if it could not start threads. */
bool stage_run(unsigned int cores, void (*direct)(void));

/* Called by the leader, while the others wait: sets the steps that a core takes from now on. */
void stage_cast(unsigned int core, const struct steps *steps, struct call *call);

/* Called by the leader: a core takes a step while the others wait. */
void stage_step(unsigned int core, enum step step);

/* Called by the leader: all cores take a step at the same time. Watches STEP_CALL for conflicts. */
void stage_all(enum step step);

/* Called by the leader: all cores make their calls, with preparation and undoing, so many times. */
void stage_repeat(unsigned int times);

/* Whether all calls since the last time succeeded. */
bool stage_succeeded(void);

#endif
