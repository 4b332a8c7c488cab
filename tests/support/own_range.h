/* SPDX-License-Identifier: MIT */
/*
 * The data that a test's own lock keeps in the storage of a range. The storage is the caller's, and
 * the library does not see it.
 */
#ifndef TESTS_OWN_RANGE_H
#define TESTS_OWN_RANGE_H

#include <mmrange/range_lock.h>

#include <stdatomic.h>

/* The first three fields are those of struct range_hold. */
struct __attribute__((may_alias)) own_range {
	uint64_t start;
	uint64_t end;
	enum range_mode mode;
	atomic_int state;
	struct own_range *next;
	struct own_range *first; /* of the ranges that were acquired together */
};

_Static_assert(sizeof(struct own_range) <= sizeof(struct range_hold) &&
		       offsetof(struct own_range, start) == offsetof(struct range_hold, start) &&
		       offsetof(struct own_range, end) == offsetof(struct range_hold, end) &&
		       offsetof(struct own_range, mode) == offsetof(struct range_hold, mode),
	       "public");

static inline struct own_range *own(struct range_hold *range)
{
	return (struct own_range *)(void *)range;
}

static inline struct range_hold *public(struct own_range *range)
{
	return (struct range_hold *)(void *)range;
}

#endif
