/* SPDX-License-Identifier: MIT */
/*
 * scene - the lock of a pair of calls. It is new, in the state that the pair asks for, and both
 * threads use it for a while, so that it adapts to them. The leader calls these functions.
 */
#ifndef SCALING_SCENE_H
#define SCALING_SCENE_H

#include "pairs.h"

#include <stdint.h>

/* Returns false if a function of the lock gave a wrong result. */
bool scene_set(const struct pair *pair);
bool scene_clear(void);

/* Makes the calls until the lock does not change any more, for a limited number of rounds. */
void scene_warm_up(void);

/*
 * The same for much longer, with both threads in turn: the split threshold of a leaf that ranges
 * straddled is higher.
 */
void scene_warm_up_more(void);

/* The memory that contains an address: "the lock", "its leaves", "a range", or "elsewhere". */
const char *scene_place(uint64_t address);

#endif
