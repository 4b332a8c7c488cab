/* SPDX-License-Identifier: MIT */
/*
 * stack - places for mappings, which keep away from stacks above, and stacks that grow. The caller
 * holds the VMA tree lock, or is in an edit.
 */
#ifndef MM_STACK_H
#define MM_STACK_H

#include "edit.h"

/* Whether [start, end) is free, and leaves its gap to a stack above. */
bool mm__place_free(const struct mm *mm, uint64_t start, uint64_t end);

/*
 * Finds a place of that length, in *addr; returns false if there is none. Finds the highest place
 * that leaves their gaps to all stacks above, or else the lowest one that leaves its gap to the
 * next VMA.
 */
bool mm__find_place(struct mm *mm, uint64_t length, uint64_t *addr);

/*
 * In an edit: whether no mapping lies in [start, end), and a stack above keeps its gap, as far as
 * the border node shows.
 */
bool mm__place_still_free(const struct mm__edit *edit, uint64_t start, uint64_t end);

/*
 * In an edit in place: whether mm__place_still_free() is as good as mm__place_free() there, because
 * the border node has the mapping that decides, or none can.
 */
bool mm__place_is_decided(const struct mm__edit *edit, uint64_t start, uint64_t end);

/* Before a thread maps a stack: makes mm__may_have_stacks() true. Needs no lock. */
void mm__note_stack(struct mm *mm);

bool mm__may_have_stacks(const struct mm *mm);

/* Whether the page is not mapped, and a stack above, *stack, may grow down to it. */
bool mm__stack_may_grow(const struct mm *mm, uint64_t page, struct mm__mapping *stack);

/*
 * Grows the stack down to the page, if it may. Returns 0 or ENOMEM. The caller holds the whole
 * space, and not the VMA tree lock.
 */
int mm__stack_grow(struct mm__thread *thread, uint64_t page);

#endif
