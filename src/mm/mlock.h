/* SPDX-License-Identifier: MIT */
#ifndef MM_MLOCK_H
#define MM_MLOCK_H

#include "space.h"

/*
 * Makes the pages of locked VMAs in [start, end) present, as far as they are mapped.
 * Returns 0; ENOMEM for an error of the VMA; EAGAIN if there is no memory.
 */
int mm__populate_locked(struct mm__thread *thread, uint64_t start, uint64_t end);

#endif
