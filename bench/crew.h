/* SPDX-License-Identifier: MIT */
/*
 * crew - the threads of a run: how they meet, and how they share the work.
 *
 * The threads take the work in batches, so that all of them are busy until it is done, whichever is
 * the fastest.
 */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

enum { CREW_LINES = 128 }; /* two cache lines: the processor fetches neighbours together */

struct crew {
	/* Read only while the threads run. */
	alignas(CREW_LINES) unsigned int threads;
	uint64_t batch;
	/* Written once per batch. */
	alignas(CREW_LINES) _Atomic(uint64_t) left;
	/* Written when the threads meet. */
	alignas(CREW_LINES) atomic_uint arrived;
	atomic_uint meetings;
};

void crew_init(struct crew *crew, unsigned int threads);

/* One thread calls it before all meet, with the work for all threads together. */
void crew_set_work(struct crew *crew, uint64_t work);

/* Takes a batch of the work; 0 when none is left. */
uint64_t crew_take(struct crew *crew);

/* Returns when all threads have called it. */
void crew_meet(struct crew *crew);

#endif
