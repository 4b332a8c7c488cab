/* SPDX-License-Identifier: MIT */
/*
 * crew - the threads of a run: how they meet, and who does how much of the work.
 *
 * The work is dealt out in batches, so that all threads are busy until it is done, whoever is the
 * fastest.
 */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

enum { CREW_LINES = 128 }; /* two cache lines: neighbours are fetched together */

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

/* By one thread, before all meet: how much there is to do for all together. */
void crew_set_work(struct crew *crew, uint64_t work);

/* Takes a batch from the work; 0 when there is none left. */
uint64_t crew_take(struct crew *crew);

/* Returns when all threads have called it. */
void crew_meet(struct crew *crew);

#endif
