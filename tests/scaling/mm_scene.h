/* SPDX-License-Identifier: MIT */
/*
 * mm_scene - the address space that a pair of calls is made on: new, with what the two need to be mapped,
 * each by its own thread, and used by both of them for a while. All by the leader.
 */
#ifndef SCALING_MM_SCENE_H
#define SCALING_MM_SCENE_H

#include "mm_pairs.h"

/* False: a function did not do what it must. */
bool scene_set(const struct pair *pair);
bool scene_clear(void);

/* Both threads make their calls 128 times, at the same time. */
void scene_warm_up(void);

/* Which memory an address is in: "a call", "the space", which is what all of it share, or "elsewhere". */
const char *scene_place(uint64_t address);

#endif
