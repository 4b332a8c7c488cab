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

#include "calls.h"

#include <stdint.h>

enum step { STEP_BEFORE, STEP_CALL, STEP_AFTER, STEP_TIMES, STEP_END };

struct conflicts;

/* Each core's call; the leader fills them in while the others wait. */
extern struct call *stage_calls;
extern unsigned int stage_cores;

/* Runs direct() in the leader. False: threads could not be started, or a call did not succeed. */
bool stage_run(unsigned int cores, void (*direct)(void));

/* By the leader: a core takes a step while the others wait. */
void stage_step(unsigned int core, enum step step);

/* By the leader: all cores take a step at the same time. STEP_CALL is watched for conflicts. */
void stage_all(enum step step);

/* By the leader: all cores make their calls, with what comes before and after, so many times. */
void stage_repeat(unsigned int times);

/* Whether all calls since the last time succeeded. */
bool stage_succeeded(void);

#endif
