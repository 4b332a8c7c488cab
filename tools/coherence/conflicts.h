/* SPDX-License-Identifier: MIT */
/*
 * conflicts - lines that one core writes and another one touches, in calls that are watched.
 *
 * Transfers depend on what the caches hold already, and on the order of the accesses. Conflicts do
 * not: calls that have none can run on any number of cores without a transfer, once each core has
 * the lines that it uses. This is what COMMUTER looks for (Clements et al., "The Scalable
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

/* Says what was noted since the last call, and forgets it. */
void conflicts_take(struct marker_conflicts *conflicts);

#endif
