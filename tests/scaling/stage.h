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

/* What a call is made with; each program has its own. On lines of its own. */
struct call;

/* What must come before a call, the call itself, and what puts everything back. They return false if a
 * function did not do what it must. */
struct steps {
	bool (*before)(struct call *call);
	bool (*call)(struct call *call);
	bool (*after)(struct call *call);
};

extern unsigned int stage_cores;

/* Runs direct() in the leader. False: threads could not be started. */
bool stage_run(unsigned int cores, void (*direct)(void));

/* By the leader, while the others wait: what a core does from now on. */
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
