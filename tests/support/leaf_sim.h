/* SPDX-License-Identifier: MIT */
/*
 * The leaves of a lock, used by simulated threads. Each thread is a state machine. One step of it
 * is the work of the lock between locking leaves and unlocking them, or one half of the fast path.
 * Ranges may span leaves; a release takes a step in each. One real thread takes all steps, in a
 * random order that a seed determines, and splits and merges leaves in between. So a run can be
 * repeated, and a thread that is not woken stays asleep.
 *
 * After each step the simulation checks that no conflicting ranges are held together, that exactly
 * the threads that have to wait do wait, that the queues are in the order of arrival, and that the
 * leaves are valid. In the end each thread releases its range, and only woken threads go on: if a
 * thread is left, a wake-up was lost.
 */
#ifndef TESTS_LEAF_SIM_H
#define TESTS_LEAF_SIM_H

#include "test.h"

#include "range_lock/claim.h"
#include "range_lock/span.h"

enum { SIM_THREADS = 10, SIM_KEYS = 12, SIM_LEAVES = 4, SIM_STEPS = 80 };

/* What the simulated lock does wrong, to show that the checks detect it. */
enum sim_flaw {
	SIM_SOUND,
	SIM_COPIED_WAKE, /* no flaw: it wakes by the copy that the flaws of waking are made of */
	SIM_WAKES_ONE,   /* a release wakes one waiter, though several can go on */
	SIM_STOPS_AT_PARTIAL,  /* waking ends at a writer that overlaps a part of the released range
				*/
	SIM_WAKES_AT_START,    /* a release wakes only the waiters at its first key */
	SIM_SILENT_LOOK,       /* a woken waiter that has to wait again wakes no waiter */
	SIM_SILENT_TIMEOUT,    /* a waiter that gives up wakes no waiter */
	SIM_SPLIT_PUTS_ASLEEP, /* waiters that a split moves are not woken any more */
	SIM_SILENT_MOVE,  /* a waiter that moves to another queue wakes no waiter in the first */
	SIM_SILENT_CLAIM, /* a waiter that gives up a claim wakes only waiters in its own queue */
	SIM_STOPS_AT_ASLEEP, /* waking ends at a writer that overlaps the whole range, but sleeps */
	SIM_FORGETS_ARRIVAL, /* a waiter does not note its time of arrival */
	SIM_PASSES_STARVING, /* a newcomer waits for held ranges only */
	SIM_CLAIMS_NOTHING,  /* a starving waiter holds newcomers back in its own queue only */
	SIM_PROMOTES_ONE,    /* no waiter becomes starving in a leaf that has a starving waiter */
	NR_SIM_FLAWS
};

extern const char *const sim_flaw_names[NR_SIM_FLAWS];

/*
 * SIM_SWAPS: the thread has found its one or two leaves empty, and is about to acquire its range
 * there by swaps. SIM_RELEASES: the thread still holds its range from `from` on.
 */
enum sim_state { SIM_IDLE, SIM_SWAPS, SIM_WAITS, SIM_HOLDS, SIM_RELEASES };

struct sim_thread {
	struct range__hold range; /* the first of the set */
	struct range__set set;
	enum sim_state state;
	uint64_t arrival; /* in the queue */
	uint64_t from;    /* it holds no key below */
};

struct sim_counts {
	uint64_t fast;       /* acquisitions by swaps */
	uint64_t wide;       /* of these, in two leaves */
	uint64_t waits;      /* acquisitions that had to queue */
	uint64_t passes;     /* by newcomers, of conflicting waiters */
	uint64_t promotions; /* of waiters to starving ones */
	uint64_t repeats;    /* of waits, by woken waiters that cannot hold yet */
	uint64_t moves;      /* of waiters to another queue */
	uint64_t claims;
	uint64_t timeouts;
	uint64_t splits;
	uint64_t merges;
};

struct leaf_sim {
	/* Given: */
	enum sim_flaw flaw;
	bool fifo;
	bool blind; /* check only the end of the run */
	uint64_t seed;
	/* Sums over all runs: */
	struct sim_counts counts;
	/* Of the run: */
	struct range__lock lock; /* for its claims */
	struct sim_thread threads[SIM_THREADS];
	struct range__leaf leaves[SIM_LEAVES];
	uint64_t random;
	uint64_t time;
	const char *violation;
	unsigned int step; /* the step of the violation */
};

/* Runs once. Returns the violation, NULL if there was none. */
const char *leaf_sim_run(struct leaf_sim *sim);

/* The rest is in leaf_sim_check.c, for leaf_sim.c. */

/* Notes a violation unless right holds, and keeps the first. */
void leaf_sim_expect(struct leaf_sim *sim, bool right, const char *what);

bool leaf_sim_conflict(const struct range__hold *a, const struct range__hold *b);

/* Whether a held range, or an earlier starving waiter, conflicts with the thread's range. */
bool leaf_sim_has_to_wait(const struct leaf_sim *sim, const struct sim_thread *thread);

/* The waiter that is the next to become starving in the leaf. */
struct sim_thread *leaf_sim_next_to_starve(struct leaf_sim *sim, struct range__leaf *leaf);

/* Checks the held ranges, the queues and the leaves. */
void leaf_sim_check(struct leaf_sim *sim);

#endif
