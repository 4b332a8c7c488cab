/* SPDX-License-Identifier: MIT */
/*
 * lockstep - which of the simulated cores runs.
 *
 * Every core has a clock, in cycles that are a guess. One core runs at a time: the one that has the
 * baton, the only one that touches what is simulated. It hands the baton to the slowest core when it
 * is ahead of that one by more than lockstep_window cycles. So the order in which the cores do things depends
 * on their clocks alone, and not on what else the host has to do.
 *
 * A core that sleeps in a futex is not waited for. Whether it comes back at its place in that order
 * is up to the host's kernel in two moments, which are waited for: when it falls asleep nobody goes
 * on before it does, and who wakes it does not go on before it is back. If that fails, or it comes
 * back for another reason, such as a timeout, it has escaped, and is counted.
 *
 * All of this is for the thread that is the core, unless it says otherwise.
 */
#ifndef COHERENCE_LOCKSTEP_H
#define COHERENCE_LOCKSTEP_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	MAX_CORES = 1024,
	/* The default of lockstep_window. */
	WINDOW = 100,
	/* From waking a thread until it runs; of a system call. */
	WAKE_CYCLES = 10000,
	SYSCALL_CYCLES = 1000,
};

enum core_state { CORE_OUTSIDE, CORE_MEETING, CORE_READY, CORE_ASLEEP };

struct core {
	unsigned int id;
	uint64_t clock;
	enum core_state state;
	pid_t thread;
	sem_t turn;
};

/* For whoever has the baton. */
extern struct core cores[MAX_CORES];
extern unsigned int nr_cores;
extern unsigned int meetings; /* so far */
extern unsigned int escapes;

/*
 * How far a core may run ahead of the slowest one, in cycles. The default is about what it costs to
 * take a line from it, so that it cannot do much between another's request for a line and losing it.
 * A greater window makes the simulation faster where the cores share nothing.
 */
extern uint64_t lockstep_window;

/* With the baton: the clock of the slowest of the other cores that are ready. */
extern _Atomic(uint64_t) lockstep_others;

void lockstep_init(void);

/* The thread becomes core id of n, and meets the others. */
void lockstep_enter(unsigned int id, unsigned int n);

/* Waits for all cores, and gets the baton when it is its turn. */
void lockstep_meet(struct core *core);

/* Hands the baton to the slowest core, if that is another one, until it is this one's turn. */
void lockstep_switch(struct core *core);

static inline void lockstep_advance(struct core *core, uint64_t cycles)
{
	core->clock += cycles;
	/* relaxed: see lockstep_back() */
	if (core->clock >
	    atomic_load_explicit(&lockstep_others, memory_order_relaxed) + lockstep_window)
		lockstep_switch(core);
}

/* After something that must not come before what slower cores do. */
static inline void lockstep_in_order(struct core *core)
{
	/* relaxed: see lockstep_back() */
	if (core->clock > atomic_load_explicit(&lockstep_others, memory_order_relaxed))
		lockstep_switch(core);
}

/* Before a system call that is going to sleep in a futex; after it. */
void lockstep_sleep(struct core *core);
void lockstep_back(struct core *core, bool woken);

/* Before a system call that wakes who sleeps in a futex; after it. */
void lockstep_wake(struct core *core);
void lockstep_woke(struct core *core, unsigned int cores_woken);

/* With the baton: from here on all threads run as they like. */
void lockstep_end(void);
bool lockstep_over(void);

#endif
