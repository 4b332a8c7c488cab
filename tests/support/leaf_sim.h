/* SPDX-License-Identifier: MIT */
/*
 * The leaves of a lock, used by threads that are simulated: each is a state machine, and a step of
 * it is what the lock does between locking leaves and unlocking them, or one half of the fast path.
 * Ranges may span leaves; a release takes a step in each. All steps are taken by one real thread, in a
 * random order that a number determines, with splits and merges of leaves in between. So a run can be
 * repeated, and a thread that is not woken stays asleep.
 *
 * What is checked after each step: conflicting ranges are not held together, who has to wait is who
 * should, the queues are in the order of arrival, the leaves are valid. In the end everybody
 * releases what he holds, and those that are woken, and nobody else, go on: if somebody is left, a
 * wake-up was lost.
 */
#ifndef TESTS_LEAF_SIM_H
#define TESTS_LEAF_SIM_H

#include "test.h"

#include "range_lock/claim.h"
#include "range_lock/span.h"

enum { SIM_THREADS = 10, SIM_KEYS = 12, SIM_LEAVES = 4, SIM_STEPS = 80 };

/* What the simulated lock does wrong, to show that it would be seen. */
enum sim_flaw {
	SIM_SOUND,
	SIM_COPIED_WAKE, /* nothing: it wakes by the copy that the flaws of waking are made of */
	SIM_WAKES_ONE,   /* a release wakes one waiter, though several can go on */
	SIM_STOPS_AT_PARTIAL,  /* waking ends at a writer that overlaps, but not all */
	SIM_WAKES_AT_START,    /* a release wakes those at its first key only */
	SIM_SILENT_LOOK,       /* a woken waiter that has to wait again wakes nobody */
	SIM_SILENT_TIMEOUT,    /* a waiter that gives up wakes nobody */
	SIM_SPLIT_PUTS_ASLEEP, /* waiters that a split moves are not woken any more */
	SIM_SILENT_MOVE,       /* a waiter that goes to another queue wakes nobody in the first */
	SIM_SILENT_CLAIM,      /* a claim that is given up wakes nobody but in its queue */
	SIM_STOPS_AT_ASLEEP,   /* waking ends at a writer that overlaps all, but sleeps */
	SIM_FORGETS_ARRIVAL,   /* a waiter does not note when it came */
	SIM_PASSES_STARVING,   /* a newcomer waits for what is held only */
	SIM_CLAIMS_NOTHING,    /* a starving waiter is seen in its queue only */
	SIM_PROMOTES_ONE,      /* nobody becomes starving in a leaf in which somebody is */
	NR_SIM_FLAWS
};

extern const char *const sim_flaw_names[NR_SIM_FLAWS];

/*
 * SIM_SWAPS: it has found its leaves empty, one or two, and is about to acquire its range there by swaps.
 * SIM_RELEASES: it still holds its range from some key on.
 */
enum sim_state { SIM_IDLE, SIM_SWAPS, SIM_WAITS, SIM_HOLDS, SIM_RELEASES };

struct sim_thread {
	struct range__hold range; /* the first */
	struct range__set set;
	enum sim_state state;
	uint64_t arrival; /* in the queue */
	uint64_t from;    /* it holds nothing below */
};

struct sim_counts {
	uint64_t fast;       /* acquisitions by swaps */
	uint64_t wide;       /* of these, in two leaves */
	uint64_t waits;      /* that had to queue */
	uint64_t passes;     /* by newcomers, of conflicting waiters */
	uint64_t promotions; /* of waiters to starving ones */
	uint64_t repeats;    /* of waiters that were woken in vain */
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
	bool blind; /* look at nothing but the end */
	uint64_t seed;
	/* Summed up over all runs: */
	struct sim_counts counts;
	/* Of the run: */
	struct range__lock lock; /* for its claims */
	struct sim_thread threads[SIM_THREADS];
	struct range__leaf leaves[SIM_LEAVES];
	uint64_t random;
	uint64_t time;
	const char *violation;
	unsigned int step; /* the one of the violation */
};

/* One run; says what was wrong, NULL if nothing was. */
const char *leaf_sim_run(struct leaf_sim *sim);

/* The rest is leaf_sim_check.c, for leaf_sim.c. */

/* Notes a violation if something is not right, and keeps the first. */
void leaf_sim_expect(struct leaf_sim *sim, bool right, const char *what);

bool leaf_sim_conflict(const struct range__hold *a, const struct range__hold *b);

/* Whether a held range conflicts with that of the thread, or an earlier waiter that is starving. */
bool leaf_sim_has_to_wait(const struct leaf_sim *sim, const struct sim_thread *thread);

/* Whose turn it is to become starving in a leaf. */
struct sim_thread *leaf_sim_next_to_starve(struct leaf_sim *sim, struct range__leaf *leaf);

/* What is held, the queues, and the leaves. */
void leaf_sim_check(struct leaf_sim *sim);

#endif
