/* SPDX-License-Identifier: MIT */
/* room - the limit of the number of VMAs of an address space. */
#ifndef MM_ROOM_H
#define MM_ROOM_H

#include "space.h"

/*
 * The first claims room for an edit, before the thread takes any lock but ranges. The second gives
 * the rest back, after the thread has dropped its locks.
 */
void mm__room_claim(struct mm__thread *thread);
void mm__room_give_back(struct mm__thread *thread);

/* In an edit: whether the number of VMAs may grow by more. */
bool mm__room_for_vmas(const struct mm__thread *thread, uint64_t more);

/* In an edit: counts VMAs that were added, or removed if more is negative. */
void mm__count_vmas(struct mm__thread *thread, int64_t more);

/* As mm__room_for_vmas(), outside an edit. */
bool mm__room_now(struct mm__thread *thread, uint64_t more);

/* Sets another limit, for tests. */
void mm__set_most_vmas(struct mm *mm, uint64_t most);

/* For a new space; and for a thread that stops using it. */
void mm__room_begin(struct mm *mm);
void mm__room_end_thread(struct mm__thread *thread);

/* The number of VMAs: exact if no operation changes it meanwhile. */
uint64_t mm__nr_vmas(struct mm *mm);

#endif
