/* SPDX-License-Identifier: MIT */
/*
 * caches - one cache per simulated core, without bounds, kept coherent as by MESI.
 *
 * A line is in the caches of its holders; one of them may own it, that is, be the only one and free
 * to write. An access is a hit if the core holds the line, and for a store owns it or is its only
 * holder. Everything else asks the other cores. That is a transfer, if one of them has to answer:
 *
 *	load   another core owns the line or wrote it last
 *	store  other cores hold the line, or another one wrote it last
 *
 * A line that nobody had before comes from memory, which is not counted. A store that finds n
 * copies elsewhere invalidates n.
 */
#ifndef COHERENCE_CACHES_H
#define COHERENCE_CACHES_H

#include "lockstep.h"

enum { LINE_SIZE = 64 };

enum {
	/* What it costs to get a line from another core, and how long nobody else gets it. */
	TRANSFER_CYCLES = 100,
	/* A line that has moved lately is wanted by others: accesses to it are made in the exact order of
	 * the clocks, all else within the window. */
	LATELY = 10000,
};

struct counts {
	uint64_t instructions;
	uint64_t loads;
	uint64_t stores;
	uint64_t transfers;
	uint64_t invalidations;
};

/* An instruction that is profiled. */
struct site {
	uint64_t address;
	const char *function; /* "" if it is not known */
};

/* Whether and what is counted, per core. With the baton. */
extern bool counting;
extern struct counts counts[MAX_CORES];

/* With the baton: all transfers so far, counted or not. */
extern uint64_t caches_transfers;

/* False: there is no memory. */
bool caches_init(void);

/*
 * With the baton: an access to at most one line's worth of bytes. site is NULL if it is not
 * profiled. May hand over the baton.
 */
void caches_access(struct core *core, uint64_t address, unsigned int size, bool store,
		   const struct site *site);

/* With the baton: no core has anything in its cache any more. */
void caches_forget(void);

#endif
