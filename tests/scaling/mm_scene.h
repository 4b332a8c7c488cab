/* SPDX-License-Identifier: MIT */
/*
 * mm_scene - the address space of a pair of calls. It is new; each thread maps the pages that its
 * call needs, and both threads use it for a while. The leader calls these functions.
 */
#ifndef SCALING_MM_SCENE_H
#define SCALING_MM_SCENE_H

#include "mm_pairs.h"

/* Returns false if a function failed. */
bool scene_set(const struct pair *pair);
bool scene_clear(void);

/* Both threads make their calls 128 times, in parallel. */
void scene_warm_up(void);

/*
 * The memory that contains an address: "a call", "the space" (struct mm, which all threads share)
 * or "elsewhere".
 */
const char *scene_place(uint64_t address);

#endif
