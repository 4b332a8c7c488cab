/* SPDX-License-Identifier: MIT */
/*
 * lockstep - decides which of the simulated cores runs.
 *
 * Every core has a clock, in guessed cycles. One core runs at a time: the core that has the baton.
 * Only that core touches simulated state. It hands the baton to the slowest core when it is ahead
 * of that core by more than lockstep_window cycles. So the order in which the cores act depends on
 * their clocks alone, and not on the host's load.
 *
 * No core waits for a core that sleeps in a futex. Whether that core comes back at its place in the
 * order depends on the host's kernel at two moments, for which other cores do wait. When a core
 * falls asleep, no core goes on before it sleeps; and a core that wakes another one does not go on
 * before that one is back. If this fails, or a core comes back for another reason, such as a
 * timeout, it has escaped, and is counted.
 *
 * The thread that is the core calls all functions, unless their comments state otherwise.
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
	/* From the system call that wakes a thread until the thread runs. */
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

/* For the thread that has the baton. */
extern struct core cores[MAX_CORES];
extern unsigned int nr_cores;
extern unsigned int meetings; /* so far */
extern unsigned int escapes;

/*
 * How far a core may run ahead of the slowest one, in cycles. The default is about the cost of
 * taking a line from that core. So a core cannot do much between another core's request for a line
 * and the loss of the line. A greater window makes the simulation faster where the cores share
 * nothing.
 */
extern uint64_t lockstep_window;

/* With the baton: of the other cores that are ready, the clock of the slowest. */
extern _Atomic(uint64_t) lockstep_others;

void lockstep_init(void);

/* The thread becomes core id of n, and meets the others. */
void lockstep_enter(unsigned int id, unsigned int n);

/* Waits for all cores, and gets the baton when it is its turn. */
void lockstep_meet(struct core *core);

/* Hands the baton to the slowest core, if that is another one, and waits until it is back. */
void lockstep_switch(struct core *core);

static inline void lockstep_advance(struct core *core, uint64_t cycles)
{
	core->clock += cycles;
	/* relaxed: see lockstep_back() */
	if (core->clock >
	    atomic_load_explicit(&lockstep_others, memory_order_relaxed) + lockstep_window)
		lockstep_switch(core);
}

/* Called after an event that must not come before events of slower cores. */
static inline void lockstep_in_order(struct core *core)
{
	/* relaxed: see lockstep_back() */
	if (core->clock > atomic_load_explicit(&lockstep_others, memory_order_relaxed))
		lockstep_switch(core);
}

/* Before a system call that is going to sleep in a futex; after it. */
void lockstep_sleep(struct core *core);
void lockstep_back(struct core *core, bool woken);

/* Before a system call that wakes threads that sleep in a futex; after it. */
void lockstep_wake(struct core *core);
void lockstep_woke(struct core *core, unsigned int cores_woken);

/* With the baton: from now on all threads run freely. */
void lockstep_end(void);
bool lockstep_over(void);

#endif
