/* SPDX-License-Identifier: MIT */
/*
 * scene - the lock that a pair of calls is made on: new, with what the pair's state and relation ask
 * for, and used by both threads for a while, so that it has adapted to them. All by the leader.
 */
#ifndef SCALING_SCENE_H
#define SCALING_SCENE_H

#include "pairs.h"

#include <stdint.h>

/* False: a function of the lock did not do what it must. */
bool scene_set(const struct pair *pair);
bool scene_clear(void);

/* Makes the calls until the lock does not change any more, or for some rounds at most. */
void scene_warm_up(void);

/* The same for much longer, both threads in turn: a leaf that ranges straddled has more patience. */
void scene_warm_up_more(void);

/* Which memory an address is in: "the lock", "its leaves", "a range", or "elsewhere". */
const char *scene_place(uint64_t address);

#endif
