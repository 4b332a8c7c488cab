/* SPDX-License-Identifier: MIT */
/*
 * conflicts - lines that one core writes and another core touches, in watched calls.
 *
 * Transfers depend on the contents of the caches, and on the order of the accesses. Conflicts do
 * not: calls without conflicts can run on any number of cores without a transfer, once each core
 * has the lines that it uses. COMMUTER looks for conflicts, too (Clements et al., "The Scalable
 * Commutativity Rule", SOSP 2013).
 */
#ifndef COHERENCE_CONFLICTS_H
#define COHERENCE_CONFLICTS_H

#include "markers.h"

#include <stdbool.h>

/* False: there is no memory. */
bool conflicts_init(void);

/* All with the baton. */

struct site;

/* An access to at most one line's worth of bytes, by this instruction. */
void conflicts_note(unsigned int core, uint64_t address, unsigned int size, bool store,
		    const struct site *site);

/* Reports the conflicts noted since the last call, and forgets them. */
void conflicts_take(struct marker_conflicts *conflicts);

#endif
