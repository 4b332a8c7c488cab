/* SPDX-License-Identifier: MIT */
/*
 * stage - threads that are simulated cores, and make the calls that the first of them tells them to.
 *
 * The first core is the leader. All others wait until it tells them all to take a step, or one of
 * them, which they do as simulated cores do things at the same time. What they are told is on lines
 * that the calls do not use.
 */
#ifndef SCALING_STAGE_H
#define SCALING_STAGE_H

#include <stdbool.h>
#include <stdint.h>

enum { TWO_LINES = 128 };

enum step { STEP_BEFORE, STEP_CALL, STEP_AFTER, STEP_TIMES, STEP_END };

/* The arguments of a call. Each program defines its own, on lines that nothing else is on. */
struct call;

/* A call, its preparation, and its undoing. A step returns false if a function failed. */
struct steps {
	bool (*before)(struct call *call);
	bool (*call)(struct call *call);
	bool (*after)(struct call *call);
};

extern unsigned int stage_cores;

/* Runs direct() in the leader. False: threads could not be started. */
bool stage_run(unsigned int cores, void (*direct)(void));

/* By the leader, while the others wait: gives a core the steps that it takes from now on. */
void stage_cast(unsigned int core, const struct steps *steps, struct call *call);

/* By the leader: a core takes a step while the others wait. */
void stage_step(unsigned int core, enum step step);

/* By the leader: all cores take a step at the same time. STEP_CALL is watched for conflicts. */
void stage_all(enum step step);

/* By the leader: all cores make their calls, with what comes before and after, so many times. */
void stage_repeat(unsigned int times);

/* Whether all calls since the last time succeeded. */
bool stage_succeeded(void);

#endif
