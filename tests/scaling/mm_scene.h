/* SPDX-License-Identifier: MIT */
/*
 * mm_scene - the address space that a pair of calls works on. It is a new one, in which each thread maps
 * what its call needs, and which both threads use for a while. The leader calls these functions.
 */
#ifndef SCALING_MM_SCENE_H
#define SCALING_MM_SCENE_H

#include "mm_pairs.h"

/* False: a function failed. */
bool scene_set(const struct pair *pair);
bool scene_clear(void);

/* Both threads make their calls 128 times, in parallel. */
void scene_warm_up(void);

/* The memory that an address is in: "a call", "the space" (struct mm, which all threads share) or
 * "elsewhere". */
const char *scene_place(uint64_t address);

#endif
