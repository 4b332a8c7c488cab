/* SPDX-License-Identifier: MIT */
/*
 * locking - the lock of an address space: ranges of a range lock, always its full range, or an
 * rwlock. Callers do not see which. hold.h has the functions for operations.
 *
 * None of these calls fails in correct use. If one fails nevertheless, the process ends, because to
 * continue without the lock would destroy the data that it protects.
 */
#ifndef MM_LOCKING_H
#define MM_LOCKING_H

#include "space.h"

/* Returns 0 or ENOMEM. */
int mm__locking_init(struct mm *mm);
void mm__locking_destroy(struct mm *mm);

/* Whether the lock knows ranges. Otherwise each caller locks the whole space. */
bool mm__knows_ranges(const struct mm *mm);

void mm__range_acquire(struct mm *mm, struct range_hold *range, uint64_t start, uint64_t end,
		       enum range_mode mode);

/* Acquires for writing, and does not wait. Returns 0 or EBUSY. */
int mm__range_try(struct mm *mm, struct range_hold *range, uint64_t start, uint64_t end);

/* Acquires n ranges together, each for writing. The lock knows ranges. */
void mm__range_acquire_all(struct mm *mm, struct range_request *requests, unsigned int n);

void mm__range_release(struct mm *mm, struct range_hold *range);

#endif
