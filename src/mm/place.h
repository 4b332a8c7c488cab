/* SPDX-License-Identifier: MIT */
/* place - a place for a mapping beside the calling thread's last one. */
#ifndef MM_PLACE_H
#define MM_PLACE_H

#include "space.h"

/*
 * As mm__find_place() in stack.h, in the calling thread's own place. The caller does not hold the
 * VMA tree lock. Returns false also if the place seems to be full. Other threads may map there
 * before the caller holds the range.
 */
bool mm__find_own_place(struct mm__thread *thread, uint64_t length, uint64_t *addr);

#endif
