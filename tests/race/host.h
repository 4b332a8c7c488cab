/* SPDX-License-Identifier: MIT */
/*
 * host - a program that uses the lock under a race detector. Each scene has up to three threads,
 * whose steps come one after the other. The detectors do not see what makes the threads wait for
 * their turns (stage.c). So only what the library tells a detector orders the threads, and a scene
 * is reported in each run or in none.
 */
#ifndef HOST_H
#define HOST_H

#include <mmrange/range_lock.h>

#include <stdbool.h>

#define SCENE_THREADS 3

/* What a thread of a simple scene does: it locks, accesses the data, and unlocks. */
struct access {
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
	bool writes;
};

struct scene {
	const char *name;
	struct access pair[2];               /* a simple scene: of thread 0, and then of thread 1 */
	void (*thread[SCENE_THREADS])(void); /* any other scene */
	void (*prepare)(void);               /* if the lock has attributes: makes it */
};

/* What a detector must not report, and what it must; up to one without a name. */
extern const struct scene ordered_scenes[], racing_scenes[];

/* New for each scene. */
extern struct range_lock lock;
extern long data;

/* Waits until stages 0 to stage - 1 have ended; ends a stage; begins again with stage 0. */
void await_stage(unsigned int stage);
void end_stage(unsigned int stage);
void reset_stage(void);

/* Returns when so many threads have called it: none ends while another one may still race with it.
 */
void await_last_stage(unsigned int threads);

/* Waits until so many acquisitions of the scene have begun to wait. */
void await_waits(unsigned int n);

/* Ends the process with a message. */
_Noreturn void fail(const char *file, int line, const char *what);
#define CHECK(what) ((what) ? (void)0 : fail(__FILE__, __LINE__, #what))

#endif
