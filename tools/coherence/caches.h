/* SPDX-License-Identifier: MIT */
/*
 * caches - one cache per simulated core, without bounds, kept coherent as by MESI.
 *
 * A line is in the caches of its holders. One holder may own the line: then it is the only one, and
 * free to write. An access is a hit if the core holds the line and, for a store, owns it or is its
 * only holder. Every other access asks the other cores. It is a transfer if one of them has to
 * answer:
 *
 *	load   another core owns the line or wrote it last
 *	store  other cores hold the line, or another one wrote it last
 *
 * A line that no core had before comes from memory, which is not counted. A store that finds n
 * copies in other caches invalidates n.
 */
#ifndef COHERENCE_CACHES_H
#define COHERENCE_CACHES_H

#include "lockstep.h"

enum { LINE_SIZE = 64 };

enum {
	/*
	 * The cost of getting a line from another core, for which time no other core gets the line.
	 */
	TRANSFER_CYCLES = 100,
	/*
	 * Other cores want a line that has moved lately. Accesses to it happen in the exact order
	 * of the clocks, all others within the window.
	 */
	LATELY = 10000,
};

struct counts {
	uint64_t instructions;
	uint64_t loads;
	uint64_t stores;
	uint64_t transfers;
	uint64_t invalidations;
};

/* A profiled instruction. */
struct site {
	uint64_t address;
	const char *function; /* "" if unknown */
};

/* Whether to count, and the counts per core. With the baton. */
extern bool counting;
extern struct counts counts[MAX_CORES];

/* With the baton: all transfers so far, counted or not. */
extern uint64_t caches_transfers;

/* False: there is no memory. */
bool caches_init(void);

/*
 * With the baton: an access to at most one line's worth of bytes. site is NULL if the access is not
 * profiled. The call may hand over the baton.
 */
void caches_access(struct core *core, uint64_t address, unsigned int size, bool store,
		   const struct site *site);

/* With the baton: empties the caches of all cores. */
void caches_forget(void);

#endif
