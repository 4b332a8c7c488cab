/* SPDX-License-Identifier: MIT */
/*
 * crowd CORES - as many threads as there are simulated cores make calls that all commute. Each
 * thread calls another function of the lock than its neighbours. The program counts the lines over
 * which they conflict. It needs the plugin of tools/coherence.
 *
 * Exits with 1 if the lines are too many, or a function of the lock gave a wrong result; with 3
 * without the plugin.
 */
#include "calls.h"
#include "markers.h"
#include "stage.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	FAILED = 1,
	NO_PLUGIN = 3,
	MAX_CORES = 1024,
	FEW = 512,
	LEAVES_PER_CORE = 4,
	LENGTH = 16,
	DISTANCE = 32,
	REPEATS = 16, /* of each call in a round */
	MIN_ROUNDS = 16,
	MAX_ROUNDS = 128,
	QUIET_ROUNDS = 4,
	LAPSE_US = 2000, /* between rounds, for the changes that the lock makes by time */
};

static const uint64_t NOT_SEEN = UINT64_MAX;

/* The calls of all threads. */
static const struct workload {
	const char *name;
	enum range_mode mode;
	uint64_t distance; /* from the interval of one thread to that of the next */
	bool changes;      /* also functions that change a held range */
	/*
	 * The most conflicting lines per call, for up to 512 threads and for more: a little more
	 * than were measured, to be lowered to 0.05. Some leaves of 1,024 writers still split when
	 * the warm-up ends.
	 */
	double most_of_few, most_of_many;
} workloads[] = {
	{ "shared, read", RANGE_READ, 0, false, 0.05, 0.05 },
	{ "own, write", RANGE_WRITE, DISTANCE, true, 0.1, 0.5 },
	{ "own, read", RANGE_READ, DISTANCE, true, 0.1, 0.5 },
};

enum { NR_WORKLOADS = sizeof(workloads) / sizeof(workloads[0]) };

static alignas(TWO_LINES) struct range_lock lock;
static struct call calls[MAX_CORES];
static int status; /* written by the leader */

static uint64_t changes(void)
{
	struct range_lock_stats stats;

	range_lock_stats(&lock, &stats);
	return stats.splits + stats.merges + stats.biases;
}

/*
 * The number of functions in use, from the first one on. Functions that only acquire or release
 * ranges come first, and functions that concern the whole lock last.
 */
static unsigned int nr_used(const struct workload *workload)
{
	unsigned int n = 0;

	while (!functions[n].whole && (workload->changes || n < nr_acquiring_functions))
		n++;
	return n;
}

static void set_calls(const struct workload *workload)
{
	unsigned int i, n = nr_used(workload);

	for (i = 0; i < stage_cores; i++) {
		struct call *call = &calls[i];

		call->lock = &lock;
		call->mode = workload->mode;
		call->interval.start = i * workload->distance;
		call->interval.end = call->interval.start + LENGTH;
		stage_cast(i, &functions[i % n].steps, call);
	}
}

/*
 * Returns the number of rounds, after which the lock has settled if MAX_ROUNDS are enough. One
 * thread at a time splits a leaf, and threads that collide meanwhile go on, so the number of rounds
 * grows with that of the threads.
 */
static unsigned int warm_up(void)
{
	uint64_t before, now = changes();
	unsigned int i, quiet = 0;

	for (i = 0; i < MAX_ROUNDS && (i < MIN_ROUNDS || quiet < QUIET_ROUNDS); i++) {
		before = now;
		stage_repeat(REPEATS);
		marker(MARKER_LAPSE, LAPSE_US, 0, 0);
		now = changes();
		quiet = now == before ? quiet + 1 : 0;
	}
	return i;
}

static uint64_t watch(void)
{
	struct marker_conflicts conflicts = { .lines = NOT_SEEN };

	stage_all(STEP_BEFORE);
	stage_all(STEP_CALL);
	stage_all(STEP_AFTER);
	marker(MARKER_CONFLICTS, (uintptr_t)&conflicts, 0, 0);
	/* The compiler assumes that a system call changes no variable. */
	atomic_signal_fence(memory_order_seq_cst);
	return conflicts.lines;
}

static int try_workload(const struct workload *workload)
{
	struct range_lock_attr attr;
	unsigned int rounds;
	double per_call, most = stage_cores <= FEW ? workload->most_of_few : workload->most_of_many;
	uint64_t lines;

	range_lock_attr_init(&attr);
	attr.max_leaves = LEAVES_PER_CORE * stage_cores;
	if (range_lock_init(&lock, &attr) != 0)
		return FAILED;
	set_calls(workload);
	rounds = warm_up();
	lines = watch();
	if (lines == NOT_SEEN)
		return NO_PLUGIN;
	per_call = (double)lines / stage_cores;
	printf("workload=\"%s\" cores=%u conflicts=%" PRIu64 " per_call=%.4f most=%.4f "
	       "warm_up_rounds=%u\n",
	       workload->name, stage_cores, lines, per_call, most, rounds);
	if (!stage_succeeded() || range_lock_destroy(&lock) != 0)
		return FAILED;
	return per_call <= most ? 0 : FAILED;
}

static void direct(void)
{
	unsigned int i;

	for (i = 0; i < NR_WORKLOADS; i++)
		status |= try_workload(&workloads[i]);
}

int main(int argc, char **argv)
{
	unsigned long cores = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;

	if (cores < 2 || cores > MAX_CORES) {
		fprintf(stderr, "usage: crowd CORES, from 2 to %d\n", MAX_CORES);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!stage_run((unsigned int)cores, direct)) {
		fprintf(stderr, "crowd: no memory, or no threads\n");
		return FAILED;
	}
	return status;
}
